"""The company's proxy behind ours, with the user and password that it wants.

Units are read by others and shown by tools, so these two stand in a file of their own that only the user can read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from launcher import corporate_proxy, no_proxy, places
from launcher.corporate_proxy import CorporateProxy
from whole_file import write_whole

__all__ = ["find", "is_own", "keep", "own_dir"]


def find(environment: Mapping[str, str], port: int) -> CorporateProxy | None:
    """What `environment` names, with what was kept for it; None: nothing, or ourselves, who listen at `port`.

    Raises LauncherError if it is of a kind that mitmproxy cannot send on to.
    """
    found = None if no_proxy.repair(environment, "").everything_was_direct else corporate_proxy.find(environment)
    if found is None or is_own(found, [port]):
        return None
    if found.credentials is None:
        return replace(found, credentials=_kept(_file(environment), found.url))
    return found


def is_own(proxy: CorporateProxy, ports: Sequence[int]) -> bool:
    """Whether `proxy` is one on this machine at one of `ports`: sending on to ourselves would never end."""
    parts = urlsplit(proxy.url)
    return parts.hostname in no_proxy.LOOPBACK and parts.port in ports


def keep(environment: Mapping[str, str], proxy: CorporateProxy | None) -> None:
    """Keep what `proxy` wants, or nothing if it wants nothing. Raises OSError."""
    file = _file(environment)
    if proxy is None or proxy.credentials is None:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.parent.chmod(0o700)
    write_whole(file, json.dumps({"proxy": proxy.url, "credentials": proxy.credentials}).encode(), 0o600)


def own_dir(environment: Mapping[str, str]) -> Path:
    """The part of the state folder that is there for the service alone, and goes with it."""
    return places.state_dir(environment) / "service"


def _file(environment: Mapping[str, str]) -> Path:
    return own_dir(environment) / "next-hop.json"


def _kept(file: Path, url: str) -> str | None:
    try:
        kept = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    credentials = kept.get("credentials") if isinstance(kept, dict) and kept.get("proxy") == url else None
    return credentials if isinstance(credentials, str) else None
