"""Whether the time that the ledger says a request waited is what a client loses, with the addon and without.

`.venv/bin/python scripts/benchmarks/added_time.py`, on a quiet machine. The same new requests go through both in turn;
each is about 300 kB of file readings that no request before had.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_PROJECT), str(_PROJECT / "addons"), str(_PROJECT / "scripts")]

from billing.ledger import LEDGER_FILE  # noqa: E402 - found by the lines above
from billing.ledger_reader import LedgerReader  # noqa: E402
from demo.answers import Answer  # noqa: E402
from demo.stand_in import StandIn  # noqa: E402
from tests.e2e.client import Tunnel, request  # noqa: E402
from tests.e2e.route import Route, proxied  # noqa: E402

_HOST = "made-up-resource.services.ai.azure.com"
_REQUESTS = 40
_READINGS, _LINES = 30, 250


def body(number: int) -> bytes:
    """A conversation that nobody has seen yet."""
    words = random.Random(number)  # noqa: S311 - nothing is to be secret
    messages: list[dict[str, Any]] = [{"role": "user", "content": f"Look into the matter {number}."}]
    for reading in range(_READINGS):
        use_id = f"toolu_{number}_{reading}"
        use = {"type": "tool_use", "id": use_id, "name": "Read", "input": {"file_path": f"/x/{reading}.py"}}
        lines = (f"{row}\tvalue_{words.randrange(10**6)} = compute({row})" for row in range(1, _LINES))
        result = {"type": "tool_result", "tool_use_id": use_id, "content": "\n".join(lines)}
        messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    # Sent as answered results, a conversation that is not known goes out raw; so the last answer is left away.
    return json.dumps({"model": "made-up", "max_tokens": 9, "messages": [messages[0], *_merged(messages[1:])]}).encode()


def _merged(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One answer with all calls, and one message with all results."""
    calls, results = messages[::2], messages[1::2]
    return [
        {"role": "assistant", "content": [block for message in calls for block in message["content"]]},
        {"role": "user", "content": [block for message in results for block in message["content"]]},
    ]


def seconds(way: Route, raw: bytes) -> float:
    """How long a client waits for the answer to a request, on a connection that is open already."""
    with Tunnel(way.proxy.port, _HOST) as tunnel:
        tunnel.start_tls(_HOST, way.proxy.certificate)
        started = time.perf_counter()
        tunnel.exchange(request(_HOST, raw))
        return time.perf_counter() - started


def main() -> None:
    """Print both figures."""
    with tempfile.TemporaryDirectory() as folder, StandIn([Answer(("Yes.",))] * 3) as stand_in:
        directory = Path(folder)
        with (
            proxied(stand_in, directory / "with") as ours,
            proxied(stand_in, directory / "without", addon=False) as bare,
        ):
            lost = []
            for number in range(_REQUESTS):
                raw = body(number)
                lost.append((seconds(ours, raw) - seconds(bare, raw)) * 1000)
            time.sleep(2)
            reader = LedgerReader(directory / "with" / "state" / LEDGER_FILE)
            said = [entry.added_ms for entry in reader.entries()]
            reader.close()
    outside, inside = statistics.median(lost), statistics.median(said)
    print(f"{len(raw):,} bytes, {len(said)} requests: a client loses {outside:.1f} ms, the ledger says {inside:.1f} ms")
    print(f"the ledger says {inside / outside:.2f} of it")


if __name__ == "__main__":
    main()
