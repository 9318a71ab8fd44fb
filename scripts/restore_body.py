"""A request body as it left the proxy in, the body as the client sent it out. The body of scripts/restore."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "addons"))

from compression_engine import NotUnderstood, WireFormat, restore

USAGE = "usage: restore < REQUEST-BODY-FROM-THE-PROXY > REQUEST-BODY-OF-THE-CLIENT"


def main() -> int:
    """Return the exit code: 0, or 2 with one line on standard error."""
    if len(sys.argv) > 1 or sys.stdin.isatty():
        print(USAGE, file=sys.stderr)
        return 0 if sys.argv[1:] in (["--help"], ["-h"]) else 2
    body = sys.stdin.buffer.read()
    sys.stdout.buffer.write(_restored(body))
    return 0


def _restored(body: bytes) -> bytes:
    """A body has results of one wire format only: read as another it stays as it is, or is not understood."""
    reasons = []
    for wire_format in WireFormat:
        try:
            sent = restore(body, wire_format)
        except NotUnderstood as error:
            reasons.append(error)
            continue
        if sent != body:
            return sent
    if len(reasons) == len(WireFormat):
        # What the engine does not understand it has not rewritten either.
        print(f"restore: no rewritten request body, handed on as it is ({reasons[0]})", file=sys.stderr)
    return body


if __name__ == "__main__":
    sys.exit(main())
