"""What is fuzzed: each takes bytes and raises where something does not hold."""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]
import zstandard

from billing import usage_tap
from billing.content_decoding import decoder_for
from compression_engine import Engine, Place, Policy, Rewrite, WireFormat, restore, statements
from compression_engine.body import NotUnderstood, Span, Splice, decode_string, elements, encode_string, members, splice
from compression_engine.history import Shown
from compression_engine.results import Source as ResultSource
from compression_engine.results import fold, unfold
from host_rules import Endpoint
from tests.compression_engine.adversarial import steps, treat
from tests.conversations.test_interleavings import UNUSUAL, USUAL
from tests.conversations.world import World
from tests.fuzz.json_tokens import loads
from tests.fuzz.laws import Broken, as_shown, check_rewrite, messages_of
from tests.fuzz.sessions import session
from tests.fuzz.source import Source
from tests.fuzz.tool_output import tool_output

__all__ = ["TARGETS", "Target"]

type Target = Callable[[bytes], None]

_FORMATS = tuple(WireFormat)
_MOST_BODY = 60_000
_ENCODINGS = ("", "gzip", "deflate", "br", "zstd", "x-gzip", "identity", "unknown")
_ENDPOINTS = tuple(endpoint.value for endpoint in Endpoint)
_KINDS = ("text/event-stream", "application/json", "application/vnd.amazon.eventstream", "")


# Bodies as clients send them, or nearly


def _rewrite_session(data: bytes, wire_format: WireFormat) -> None:
    """All laws on one session, on its beginnings, and on the same engine turn by turn."""
    source = Source(data)
    policy = _policy(source)
    made = session(source, wire_format)
    count = len(made.messages)
    whole = made.body()
    if len(whole) > _MOST_BODY:
        return
    warm = Engine()
    ends = sorted({1 + source.up_to(max(0, count - 1)) for _ in range(2)} | {count})
    seen: list[tuple[int, Rewrite]] = []
    for end in ends:
        raw = made.body(end)
        part = policy.up_to(end)
        rewrite = warm.rewrite(raw, wire_format, lambda _, part=part: part)  # type: ignore[misc]
        check_rewrite(raw, rewrite, wire_format, part)
        fresh = Engine().rewrite(raw, wire_format, lambda _, part=part: part)  # type: ignore[misc]
        if fresh.body != rewrite.body or fresh.outcome != rewrite.outcome or fresh.changes != rewrite.changes:
            raise Broken("what is remembered decides nothing")
        seen.append((end, rewrite))
    if made.is_wild:
        return
    for (end, before), (_, after) in pairwise(seen):
        if messages_of(before.body, wire_format) != messages_of(after.body, wire_format)[:end]:
            raise Broken("every turn is a prefix of the next")


def _policy(source: Source) -> Policy:
    raw: tuple[tuple[int, int], ...] = ()
    if source.one_in(4):
        first = source.up_to(6)
        raw = ((first, first + 1 + source.up_to(4)),)
    aside = sorted({Place(source.up_to(12), source.up_to(1)) for _ in range(source.up_to(3))})
    work = 2_000 if source.one_in(16) else 8_000_000
    return Policy(raw, tuple(aside), work=work)


def anthropic(data: bytes) -> None:
    """Sessions of Anthropic Messages."""
    _rewrite_session(data, WireFormat.ANTHROPIC_MESSAGES)


def chat(data: bytes) -> None:
    """Sessions of Chat Completions."""
    _rewrite_session(data, WireFormat.CHAT_COMPLETIONS)


def responses(data: bytes) -> None:
    """Sessions of Responses."""
    _rewrite_session(data, WireFormat.RESPONSES)


# Any bytes


def any_body(data: bytes) -> None:
    """Any bytes as a body, rewritten and restored."""
    if not data:
        return
    wire_format, raw = _FORMATS[data[0] % len(_FORMATS)], data[1:]
    policy = Policy(aside=(Place(1, 0),)) if data[0] & 0x80 else Policy()
    rewrite = Engine().rewrite(raw, wire_format, lambda _: policy)
    try:
        loads(raw)
    except (ValueError, RecursionError):
        if rewrite.body is not raw:
            raise Broken("what is no JSON stays") from None
        return
    check_rewrite(raw, rewrite, wire_format, policy)


def any_restore(data: bytes) -> None:
    """Any bytes as a body that has arrived."""
    if not data:
        return
    wire_format, raw = _FORMATS[data[0] % len(_FORMATS)], data[1:]
    try:
        restore(raw, wire_format)
    except NotUnderstood:
        return


def body(data: bytes) -> None:
    """The reader of JSON, against Python's."""
    for read in (elements, members):
        with suppress(NotUnderstood):
            _check_reading(data, read(data))
    with suppress(NotUnderstood):
        said = decode_string(data)
        if decode_string(encode_string(said, data)) != said:
            raise Broken("a string comes back")


def _check_reading(data: bytes, found: list[Span] | dict[str, Span]) -> None:
    values = list(found.values()) if isinstance(found, dict) else found
    if any(start < end for (_, end), (start, _) in pairwise(values)):
        raise Broken("values stand one behind the other")
    if splice(data, (Splice(*span, data[span.start : span.end]) for span in values)) != data:
        raise Broken("splicing in what stands there changes nothing")
    try:
        parsed = loads(data)
    except (ValueError, RecursionError):
        return
    for value, span in zip(parsed.values() if isinstance(parsed, dict) else parsed, values, strict=True):
        if repr(loads(data[span.start : span.end])) != repr(value):
            raise Broken("each value is what Python finds")


# Texts


def text(data: bytes) -> None:
    """Texts of results, one after the other in one conversation."""
    source = Source(data)
    shown, back = Shown(), Shown()
    for number in range(1 + source.up_to(4)):
        use = f"toolu_{number}"
        said = source.rest().decode("utf-8", "replace") if source.one_in(6) else tool_output(source, use)
        of = ResultSource(use, source.of(("src/a.py", "make", "", "/home/dev/src/a.py")), source.one_in(5))
        folded = fold(said, of, shown)
        arrived = folded.text if folded else said
        if folded and not folded.change.tokens_after < folded.change.tokens_before:
            raise Broken("never dearer")
        (folded.unfolded if folded else unfold(said, of, shown)).show(shown)
        unfolded = unfold(arrived, of, back)
        unfolded.show(back)
        if folded and unfolded.text != said and as_shown(unfolded.text) != as_shown(said):
            raise Broken("nothing is lost")
        if f"[view {statements.code_for(use)}: " not in said and not folded and unfolded.text != said:
            raise Broken("what was not written by us is not undone")
        if source.is_empty:
            break


def any_statement(data: bytes) -> None:
    """Whatever may be taken for a statement; what is read and written again is the same."""
    line = data.decode("utf-8", "surrogateescape")
    for read, write in _STATEMENTS:
        found = read(line)
        if found is None:
            continue
        again = write(found)
        if read(again) != found:
            raise Broken("a statement that is written again reads the same")
    code = statements.code_for("toolu_1")
    statements.read_heading(f"[view {code}: {line}", code)
    if "".join(statements.split_headings(line.replace("#", f"\n[view {code}: "), code)) != line.replace(
        "#", f"\n[view {code}: "
    ):
        raise Broken("cutting at headings loses nothing")
    statements.is_aside(line, code)
    statements.stand_in(line)


_STATEMENTS: tuple[tuple[Callable[[str], Any], Callable[[Any], str]], ...] = (
    (statements.read_reference, statements.write_reference),
    (statements.read_repeat, statements.write_repeat),
    (statements.read_pattern, lambda found: statements.write_pattern(*found)),
    (statements.read_numbered, statements.write_numbered),
    (statements.read_grouped, statements.write_grouped),
    (statements.read_document, statements.write_document),
)


def work(data: bytes) -> None:
    """Texts made of the same again and again: work grows with their length, and not faster. Steps are counted."""
    source = Source(data)
    front, again, between, end = (source.text(20) if source.one_in(3) else _grain(source) for _ in range(4))
    counts = source.one_in(2)
    times = _SHORT // (len(again + between) + 3)
    took = []
    for size in (times, 4 * times):
        middle = "".join(f"{again}{number if counts else ''}{between}" for number in range(size))
        took.append(steps(partial(treat, front + middle + end)))
    if took[1] > _MOST_TIMES * took[0] + _FREE_STEPS:
        raise Broken(f"four times as long took {took}")


_SHORT = 5_000
_MOST_TIMES = 6
_FREE_STEPS = 5_000
_GRAINS: tuple[str, ...] = (
    "\n",
    " ",
    "[",
    "]",
    "{",
    "}",
    '"',
    "\\",
    ":",
    ",",
    "a",
    "1",
    "\t",
    "-",
    "/",
    "*",
    "\r",
    "\x1b[",
    "\x1b[K",
    "--\n",
)
_GRAINS += (
    "a.py:1:x\n",
    '{"a":',
    "[1,",
    "1\tx\n",
    "<system-reminder>",
    "error ",
    "\x1b[31m",
    "\x1b]0;",
    "https://x.example/",
)


def _grain(source: Source) -> str:
    return "".join(source.of(_GRAINS) for _ in range(source.up_to(8)))


# Answers


def usage(data: bytes) -> None:
    """An answer in any pieces: what goes out is what came in, and what is read does not depend on the pieces."""
    source = Source(data)
    endpoint, kind, encoding = source.of(_ENDPOINTS), source.of(_KINDS), source.of(_ENCODINGS)
    cuts = [source.byte() for _ in range(source.up_to(6))]
    is_encoded = not source.one_in(4)
    raw = _answer(source) if source.one_in(2) else source.rest()
    if is_encoded:
        raw = _encode(raw, encoding)
    found = []
    for pieces in ([raw], _cut(raw, cuts), [bytes([byte]) for byte in raw[:400]] + [raw[400:]]):
        tap = usage_tap.UsageTap(endpoint, kind, encoding)
        for piece in (*pieces, b""):
            if tap(piece) is not piece:
                raise Broken("what comes in goes out")
        found.append((tap.usage, tap.model, tap.is_complete, tap.problem))
    if "OverflowError" not in {problem for *_, problem in found} and len(set(found)) != 1 and is_encoded:
        raise Broken(f"what is read depends on the pieces: {found}")


def _answer(source: Source) -> bytes:
    """Events of all services, and what is none, in any order."""
    out = b""
    while not source.is_empty:
        out += source.of(_EVENTS) if source.one_in(2) else source.some_bytes(12)
        out += source.of((b"\n\n", b"\r\n\r\n", b"\n", b"\r\r", b""))
    return out


_EVENTS = (
    b'data: {"type":"message_start","message":{"model":"m","usage":{"input_tokens":9,"cache_read_input_tokens":2}}}',
    b'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":7}}',
    b'data: {"type":"message_stop"}',
    b'data:{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":1}}',
    b"data: [DONE]",
    b'data: {"type":"response.completed","response":{"model":"m","usage":{"input_tokens":9,"output_tokens":1}}}',
    b'{"model":"m","usage":{"input_tokens":9,"output_tokens":-1,"cache_creation":{"ephemeral_5m_input_tokens":3}}}',
    b'{"usage":{"input_tokens":1e400}}',
    b'data: {"type":"message_start","message":{"model":5,"usage":[]}}',
    struct.pack(">IIII", 16, 0, zlib.crc32(struct.pack(">II", 16, 0)), 0),
    struct.pack(">III", 2**31, 5, zlib.crc32(struct.pack(">II", 2**31, 5))),
    b": ping",
)


def decoding(data: bytes) -> None:
    """What was encoded comes back whatever the pieces; other bytes raise, or unfold to no more than they may."""
    source = Source(data)
    encoding = source.of(_ENCODINGS)
    cuts = [source.byte() for _ in range(source.up_to(6))]
    is_encoded = source.one_in(2)
    said = source.rest() * (1 + source.byte() % 3)
    decoder = decoder_for(encoding)
    if decoder is None:
        return
    raw = _encode(said, encoding) if is_encoded else said
    out = b""
    try:
        for piece in _cut(raw, cuts):
            for some in decoder(piece):
                out += some
                if len(out) > 4_000_000:
                    return
    except (zlib.error, brotli.error, zstandard.ZstdError):
        if is_encoded:
            raise Broken("what was encoded can be decoded") from None
        return
    if is_encoded and out != said:
        raise Broken("what was encoded comes back")


def _encode(said: bytes, encoding: str) -> bytes:
    match encoding:
        case "gzip" | "x-gzip":
            compressor = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
            return compressor.compress(said) + compressor.flush()
        case "deflate":
            return zlib.compress(said)
        case "br":
            encoded: bytes = brotli.compress(said)
            return encoded
        case "zstd":
            return zstandard.ZstdCompressor().compress(said)
        case _:
            return said


def _cut(raw: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(len(raw), cut * len(raw) // 255) for cut in cuts} | {0, len(raw)})
    return [raw[start:end] for start, end in pairwise(places)]


# Conversations


def conversations(data: bytes) -> None:
    """Clients, proxies, a service and their faults in any order: what is cached stays, and nothing is lost."""
    source = Source(data)
    turns = source.up_to(5)
    acts = [*USUAL * 4, *UNUSUAL]
    with tempfile.TemporaryDirectory(dir=_quick_folder()) as directory:
        world = World(Path(directory) / "state" / "conversations.sqlite3")
        world.start(turns)
        try:
            for _ in range(30):
                if source.is_empty:
                    break
                source.of(acts)(world, source.up_to(11), source.up_to(11), source.up_to(11))
        finally:
            world.close()


def _quick_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        *(anthropic, chat, responses, any_body, any_restore, body, text, work, any_statement, usage, decoding),
        conversations,
    )
}
"""By name."""
