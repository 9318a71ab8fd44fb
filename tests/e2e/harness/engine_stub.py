"""A mitmproxy script that puts a stub in the place of the engine: what it does is named by $ENGINE_STUB."""

import asyncio
import os
import time
from pathlib import Path

from mitmproxy.exceptions import OptionsError

import compression_engine
from compression_engine import Engine, Outcome, Prompt, ResultChange, Rewrite, WireFormat

_ERRORS = {
    "OptionsError": OptionsError("the request said: secret"),
    "CancelledError": asyncio.CancelledError("the request said: secret"),
    "SystemExit": SystemExit("the request said: secret"),
    "KeyboardInterrupt": KeyboardInterrupt("the request said: secret"),
    "ValueError": ValueError("the request said: secret"),
}


def _panic() -> None:
    """Make tiktoken panic: more blanks in one piece than its regular expressions can take."""
    os.environ["TIKTOKEN_CACHE_DIR"] = str(Path(compression_engine.__file__).parent / "ranks")
    import tiktoken  # noqa: PLC0415 - reads the variable

    tiktoken.get_encoding("o200k_base").encode_ordinary(" " * 1_000_000)


def rewrite_if_quick(_engine: Engine, body: bytes, *_: object) -> Rewrite | None:
    what = os.environ["ENGINE_STUB"]
    if what == "shorten":  # not idempotent: each time takes another byte away
        return Rewrite(body.replace(b"AA", b"A", 1), Outcome.REWRITTEN, (ResultChange("stub", 2, 1),))
    if what == "nothing":
        return Rewrite(body, Outcome.NOTHING_TO_DO)
    return None  # it is read on a thread


def read(_engine: Engine, _body: bytes, _format: WireFormat) -> Prompt:
    what = os.environ["ENGINE_STUB"]
    if what == "panic":
        _panic()
    if what == "sleep":
        time.sleep(30)
    raise _ERRORS[what]


Engine.rewrite_if_quick = rewrite_if_quick  # type: ignore[method-assign,assignment]
Engine.read = read  # type: ignore[method-assign,assignment]
