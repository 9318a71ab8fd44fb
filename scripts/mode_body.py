"""Show or change the mode of a proxy that runs. The body of scripts/mode."""

from __future__ import annotations

import argparse
import base64
import getpass
import http.client
import json
import os
import sys
import urllib.parse
from pathlib import Path
from typing import Any

_SCRIPTS = Path(__file__).resolve().parent
sys.path[:0] = [str(_SCRIPTS), str(_SCRIPTS.parent / "addons")]

from team_gateway import own_user  # noqa: E402 - found by the lines above

_SECONDS = 10
_TOKEN = "FOUNDRY_COMPRESS_TOKEN"  # noqa: S105 - the variable's name


class ModeError(Exception):
    """One line for the person who asked."""


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code: 0, or 2 with one line on standard error."""
    parser = argparse.ArgumentParser(
        prog="mode",
        description="Shows the mode of a running proxy, or changes it. A conversation whose prompt cache is warm goes "
        "on as it went out until that has expired, since all of it would be paid for anew otherwise.",
        epilog=f"The token is printed when the proxy starts. It is asked for, or taken from {_TOKEN}; do not set that "
        "where the agent's own commands can read it.",
    )
    parser.add_argument("mode", metavar="MODE", nargs="?", help="off, observe, lossless or balanced")
    parser.add_argument("--now", action="store_true", help="with off: for warm conversations too; says what that costs")
    parser.add_argument(
        "--proxy",
        default=os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or _gateway(),
        help="default: HTTPS_PROXY, or the proxy that scripts/gateway started here",
    )
    options = parser.parse_args(arguments)
    try:
        print(_answer(options.proxy, options.mode, now=options.now))
    except ModeError as error:
        print(f"mode: {error}", file=sys.stderr)
        return 2
    return 0


def _gateway() -> str | None:
    """The address of this machine's gateway, with its own user; None if none was started."""
    user = own_user.read(own_user.folder(os.environ))
    return user.address if user else None


def _answer(proxy: str | None, mode: str | None, *, now: bool) -> str:
    if not proxy:
        raise ModeError("which proxy? Set HTTPS_PROXY as for the client, or give --proxy http://127.0.0.1:PORT")
    if now and mode != "off":
        raise ModeError("--now goes with off only: another mode holds for each conversation once its cache is cold")
    if mode is None:
        return str(_ask(proxy, "GET", "/ready").get("mode"))
    token = os.environ.get(_TOKEN) or getpass.getpass("token (printed when the proxy started): ")
    said = _ask(proxy, "POST", "/api/mode", {"mode": mode, "now": now}, token)
    return str(said.get("message", ""))


def _ask(
    proxy: str, method: str, path: str, document: dict[str, object] | None = None, token: str = ""
) -> dict[str, Any]:
    address = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 8080, timeout=_SECONDS)
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    if address.username is not None:
        given = f"{urllib.parse.unquote(address.username)}:{urllib.parse.unquote(address.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(given.encode()).decode()}"
    try:
        body = None if document is None else json.dumps(document)
        connection.request(method, f"http://foundry.local{path}", body, headers)
        answer = connection.getresponse()
        said = answer.read().decode(errors="replace")
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ModeError(f"no proxy answers at {address.hostname}:{address.port} ({error})") from None
    finally:
        connection.close()
    if answer.status == http.client.PROXY_AUTHENTICATION_REQUIRED:
        raise ModeError("the proxy wants a name and a password: --proxy http://NAME:PASSWORD@HOST:PORT")
    if answer.status != http.client.OK:
        raise ModeError(said.strip().splitlines()[0] if said.strip() else f"the proxy answered {answer.status}")
    try:
        answered = json.loads(said)
    except ValueError:
        raise ModeError("what answers there is a proxy, but not one with this addon") from None
    return answered if isinstance(answered, dict) else {}


if __name__ == "__main__":
    sys.exit(main())
