"""NO_PROXY for the client: the user's, with what is near in it and without what would lead Foundry past the proxy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["LOOPBACK", "NEAR", "NoProxy", "repair"]

LOOPBACK = ("localhost", "127.0.0.1", "::1")

NEAR = (*LOOPBACK, "169.254.169.254")
"""What no proxy is asked for: this machine, and the service that tells a virtual machine who it is.

Claude Code signs in with a machine's identity there, and would do so through HTTPS_PROXY. Microsoft says to go past
proxies, and one that sends on to a company's proxy would ask for the identity of another machine.
"""


@dataclass(frozen=True, slots=True)
class NoProxy:
    """What the client gets, and what was taken out."""

    value: str
    dropped: tuple[str, ...]
    """The user's entries that match the Foundry host."""

    @property
    def everything_was_direct(self) -> bool:
        """The user wanted no proxy at all."""
        return "*" in self.dropped


def repair(variables: Mapping[str, str], host: str) -> NoProxy:
    """Programs read NO_PROXY or no_proxy, and differ in which they prefer: the union of both serves all."""
    given = f"{variables.get('NO_PROXY', '')},{variables.get('no_proxy', '')}"
    entries = dict.fromkeys(entry for entry in re.split(r"[,\s]+", given) if entry)
    dropped = tuple(entry for entry in entries if matches(entry, host))
    kept = [entry for entry in (*entries, *NEAR) if not matches(entry, host)]
    return NoProxy(",".join(dict.fromkeys(kept)), dropped)


def matches(entry: str, host: str) -> bool:
    """Whether some program would take `entry` to mean `host`. They differ; the widest reading counts."""
    name = re.sub(r":\d+\Z", "", entry.lower())
    if name == "*":
        return True
    name = name.removeprefix("*").lstrip(".").rstrip(".")
    return bool(name) and (host == name or host.endswith("." + name))
