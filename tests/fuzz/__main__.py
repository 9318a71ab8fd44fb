"""Fuzzes one target, guided by the branches that its inputs take: see scripts/fuzz.

atheris hands everything that it is given on the command line to libFuzzer.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

_HERE = Path(__file__).parent
_PACKAGES = ["compression_engine", "conversations", "billing"]


def _is_folder(argument: str) -> bool:
    return not argument.startswith("-")


def main(arguments: Sequence[str]) -> int:
    """Fuzz the target that is named first; what stands behind it is libFuzzer's."""
    with atheris.instrument_imports(include=_PACKAGES):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - what is imported here is instrumented

    if not arguments or arguments[0] not in TARGETS:
        sys.stderr.write(f"fuzz: name one of {', '.join(TARGETS)}\n")
        return 2
    words, known = _HERE / "words.dict", _HERE / "corpus" / arguments[0]
    # New inputs are kept in the first folder that is named, so ours comes last.
    given = [f"-dict={words}", *arguments[1:], *([str(known)] if any(map(_is_folder, arguments[1:])) else [])]
    atheris.Setup([sys.argv[0], *given], TARGETS[arguments[0]])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
