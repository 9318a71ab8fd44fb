"""The way from a client to the stand-in: a real mitmdump with the addon (or without), everything on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.stand_in import Script, StandIn
from tests.e2e.ahead import put_ahead
from tests.e2e.claude_code import ClaudeCode
from tests.e2e.laws import Exchange, exchanges
from tests.e2e.mitmdump import ADDON, PROJECT, Mitmdump

__all__ = ["AHEAD", "Route", "clock_of", "proxied", "route"]

AHEAD = str(PROJECT / "tests/e2e/harness/ahead_clock.py")
"""A `clock` that is as far ahead as `Route.clock` says."""

_RECORDER = PROJECT / "tests/e2e/record_sent.py"
_REDIRECT = PROJECT / "scripts/demo/redirect.py"


@dataclass(frozen=True)
class Route:
    """A proxy in front of a stand-in; `directory` belongs to all proxies in front of it."""

    stand_in: StandIn
    proxy: Mitmdump
    directory: Path

    def client(self, work: Path, model: str = "claude-sonnet-4-5", **variables: str) -> ClaudeCode:
        """The client, with the same home whichever proxy it goes through."""
        return ClaudeCode(self.directory / "client", work, self.proxy.url, self.proxy.certificate, model, variables)

    def exchanges(self) -> list[Exchange]:
        """What passed so far, through any of the proxies."""
        return exchanges(self.stand_in, self.directory / "sent.jsonl")

    def tunnels(self) -> list[str]:
        """The `host:port` of each tunnel that was asked for so far."""
        file = self.directory / "tunnels"
        return file.read_text().split() if file.exists() else []

    @property
    def clock(self) -> Path:
        """See `clock_of`."""
        return clock_of(self.directory)

    def let_pass(self, seconds: float) -> None:
        """Put that clock forward by so many seconds."""
        put_ahead(self.clock, seconds)


def clock_of(directory: Path) -> Path:
    """The file that says how far the clock is ahead of the proxies of a route in `directory`, if they have that one."""
    return directory / "clock"


@contextmanager
def route(script: Script, directory: Path, *, addon: bool = True, clock: str = "", **options: str) -> Iterator[Route]:
    """Start the stand-in and a mitmdump with `options` that leads to it, both in `directory`, as `proxied` says."""
    with StandIn(script) as stand_in, proxied(stand_in, directory, addon=addon, clock=clock, **options) as way:
        yield way


@contextmanager
def proxied(  # noqa: PLR0913 - each is a thing of its own
    stand_in: StandIn,
    directory: Path,
    *,
    addon: bool = True,
    program: str = "mitmdump",
    redirect: str = str(_REDIRECT),
    clock: str = "",
    **options: str,
) -> Iterator[Route]:
    """Start a mitmdump (or mitmweb) with `options` that `redirect` leads to `stand_in`.

    Several of them, one after the other or at once, may have the same `directory`: then they have the same certificate
    authority and remember conversations together. `clock` is a script that changes the time.
    """
    home = directory / f"proxy-{len(list(directory.glob('proxy-*')))}"
    home.mkdir(parents=True)
    scripts = [_RECORDER, *([Path(clock)] if clock else []), *([ADDON] if addon else []), Path(redirect)]
    options |= {"confdir": str(directory / "ca"), "ssl_verify_upstream_trusted_ca": str(stand_in.ca_path)}
    if addon:
        options.setdefault("foundry_state_dir", str(directory / "state"))
    variables = {
        "FOUNDRY_STAND_IN_PORT": str(stand_in.port),
        "FOUNDRY_TEST_SENT": str(directory / "sent.jsonl"),
        "FOUNDRY_TEST_TUNNELS": str(directory / "tunnels"),
        "CLOCK_AHEAD": str(clock_of(directory)),
    }
    with Mitmdump(home, *scripts, options=options, environment=variables, program=program) as proxy:
        yield Route(stand_in, proxy, directory)
