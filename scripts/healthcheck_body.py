"""Whether the proxy that scripts/gateway started here does its work. The body of scripts/healthcheck.

An open port is not enough: mitmproxy serves on without the addon if that cannot be loaded, and changes nothing. So the
addon is asked, and it must be the one in the process that was started.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from pathlib import Path

_SCRIPTS = Path(__file__).resolve().parent
sys.path[:0] = [str(_SCRIPTS), str(_SCRIPTS.parent / "addons")]

from team_gateway import own_user  # noqa: E402 - found by the lines above
from team_gateway.own_user import OwnUser  # noqa: E402

_SECONDS = 5.0


def main() -> int:
    """Return the exit code: 0, or 1 with one line; that is what container engines know."""
    user = own_user.read(own_user.folder(os.environ))
    problem = "the proxy was not started here by scripts/gateway" if user is None else _problem(user)
    print(f"healthcheck: {problem or 'the addon answers'}", file=sys.stderr if problem else sys.stdout)
    return 1 if problem else 0


def _problem(user: OwnUser) -> str:
    """What is wrong, in a line; empty if nothing is."""
    connection = http.client.HTTPConnection(user.host, user.port, timeout=_SECONDS)
    try:
        connection.request("GET", "http://foundry.local/ready", headers={"Proxy-Authorization": user.authorization})
        answer = connection.getresponse()
        said = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return f"nothing answers at port {user.port} ({type(error).__name__})"
    finally:
        connection.close()
    if answer.status != http.client.OK:
        return f"the proxy answers {answer.status}, and the addon does not"
    try:
        ready = json.loads(said)
    except ValueError:
        ready = None
    if not isinstance(ready, dict) or ready.get("addon") != "foundry_compress":
        return "a proxy answers, but not one with the addon"
    if ready.get("pid") != user.pid:
        return f"another proxy answers at port {user.port}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
