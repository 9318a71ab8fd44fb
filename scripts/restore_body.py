"""A request body as it left the proxy in, the body as the client sent it out. The body of scripts/restore."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "addons"))

from compression_engine import NotUnderstood, restore

USAGE = "usage: restore < REQUEST-BODY-FROM-THE-PROXY > REQUEST-BODY-OF-THE-CLIENT"


def main() -> int:
    """Return the exit code: 0, or 2 with one line on standard error."""
    if len(sys.argv) > 1 or sys.stdin.isatty():
        print(USAGE, file=sys.stderr)
        return 0 if sys.argv[1:] in (["--help"], ["-h"]) else 2
    body = sys.stdin.buffer.read()
    try:
        sent = restore(body)
    except NotUnderstood as error:
        # What the engine does not understand it has not rewritten either.
        print(f"restore: no rewritten request body, handed on as it is ({error})", file=sys.stderr)
        sent = body
    sys.stdout.buffer.write(sent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
