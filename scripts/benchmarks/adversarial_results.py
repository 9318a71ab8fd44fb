"""How much longer results that are made to be slow take at four times the length, in CPU time.

`.venv/bin/python scripts/benchmarks/adversarial_results.py [NAME …]`, on a quiet machine; with names, only these cases.
`tests/compression_engine/test_adversarial.py` counts what Python does for the same results. What regular expressions
and other C code do shows only here: a factor of about 4 is work that grows with the length, 16 with its square.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_PROJECT), str(_PROJECT / "addons")]

from tests.compression_engine.adversarial import CASES, LONGEST, treat  # noqa: E402 - found by the lines above

_RUNS = 3
_SUSPICIOUS = 6.0
_NOISE = 0.02  # seconds in which a factor says nothing


def seconds(text: str) -> float:
    """CPU time for `text`: the least of some runs, as what disturbs only ever adds."""
    taken = []
    for _ in range(_RUNS):
        started = time.process_time()
        treat(text)
        taken.append(time.process_time() - started)
    return min(taken)


def main(names: list[str]) -> int:
    """Print a line for each case. Returns 2 if a name is none of a case, 1 if a case grows too fast, else 0."""
    if unknown := sorted(set(names) - CASES.keys()):
        print(f"no such case: {', '.join(unknown)}; there are {', '.join(CASES)}", file=sys.stderr)
        return 2
    suspicious = 0
    treat("what is made once for all results\n" * 20)
    print(f"{'ms at':<36}{LONGEST // 4:>10,}{LONGEST:>10,} characters   times")
    for name in names or CASES:
        short, long = (seconds(CASES[name](length)) for length in (LONGEST // 4, LONGEST))
        times = long / short
        grows = times > _SUSPICIOUS and long > _NOISE
        suspicious += grows
        print(f"{name:<36}{short * 1000:>10.1f}{long * 1000:>10.1f}{times:>19.1f}{'  <- look' if grows else ''}")
    return 1 if suspicious else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
