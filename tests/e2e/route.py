"""The way from a client to the stand-in: a real mitmdump with the addon (or without), everything on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.stand_in import Script, StandIn
from tests.e2e.claude_code import ClaudeCode
from tests.e2e.laws import Exchange, exchanges
from tests.e2e.mitmdump import ADDON, PROJECT, Mitmdump

__all__ = ["Route", "route"]

_RECORDER = PROJECT / "tests/e2e/record_sent.py"
_REDIRECT = PROJECT / "scripts/demo/redirect.py"


@dataclass(frozen=True)
class Route:
    """A proxy in front of a stand-in."""

    stand_in: StandIn
    proxy: Mitmdump

    def client(self, work: Path, model: str = "claude-sonnet-4-5", **variables: str) -> ClaudeCode:
        home = self.proxy.home / "client"
        return ClaudeCode(home, work, self.proxy.url, self.proxy.certificate, model, variables)

    def exchanges(self) -> list[Exchange]:
        return exchanges(self.stand_in, self.proxy.home / "sent.jsonl")

    def tunnels(self) -> list[str]:
        """The `host:port` of each tunnel that was asked for so far."""
        file = self.proxy.home / "tunnels"
        return file.read_text().split() if file.exists() else []


@contextmanager
def route(script: Script, directory: Path, *, addon: bool = True, **options: str) -> Iterator[Route]:
    """Start the stand-in and a mitmdump with `options` that leads to it, both in `directory`."""
    directory.mkdir()
    with StandIn(script) as stand_in:
        scripts = [_RECORDER, ADDON, _REDIRECT] if addon else [_RECORDER, _REDIRECT]
        options |= {"ssl_verify_upstream_trusted_ca": str(stand_in.ca_path)}
        variables = {
            "FOUNDRY_STAND_IN_PORT": str(stand_in.port),
            "FOUNDRY_TEST_SENT": str(directory / "sent.jsonl"),
            "FOUNDRY_TEST_TUNNELS": str(directory / "tunnels"),
        }
        with Mitmdump(directory, *scripts, options=options, environment=variables) as proxy:
            yield Route(stand_in, proxy)
