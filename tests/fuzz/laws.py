"""The laws of docs/architecture.md on one rewrite, checked without the engine's own reader of JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from compression_engine import Outcome, Policy, Rewrite, WireFormat, reminders, restore, statements, tokens
from compression_engine.content import terminal
from compression_engine.set_aside import key_of
from tests.fuzz.json_tokens import loads, tokens_of

__all__ = ["Broken", "as_shown", "check_rewrite", "messages_of"]

type Json = Any

_LINE_ENDS = re.compile(r"\r+(?=\n|\Z)")
_OUTPUTS = ("function_call_output", "custom_tool_call_output", "local_shell_call_output", "shell_call_output")


class Broken(AssertionError):  # noqa: N818 - it says what is wrong
    """A law does not hold."""


class _Text(NamedTuple):
    """A text of a tool result: the way to it, what it says, whose it is, and which of the results it belongs to."""

    path: tuple[str | int, ...]
    text: str
    use: str
    place: tuple[int, int]


def check_rewrite(raw: bytes, rewrite: Rewrite, wire_format: WireFormat, policy: Policy) -> None:
    """Raise Broken where `rewrite` of `raw` under `policy` keeps not all laws."""
    _hold(not rewrite.problems, f"a mistake in a content module: {sorted(rewrite.problems)}")
    if rewrite.outcome is not Outcome.REWRITTEN:
        _hold(rewrite.body is raw, "a body that is not rewritten is the client's own")
        return
    arrived = rewrite.body
    before, after = tokens_of(raw), tokens_of(arrived)
    _hold(len(before) == len(after), "the same values stand in the body")
    texts = {one.path: one for one in _texts(loads(raw), wire_format)}
    changed: dict[tuple[str | int, ...], str] = {}
    ended = arrived_ended = 0
    for one, other in zip(before, after, strict=True):
        _hold(one.path == other.path, "every value stays in its place")
        _hold(raw[ended : one.start] == arrived[arrived_ended : other.start], "what is around values stays")
        ended, arrived_ended = one.end, other.end
        said, says = raw[one.start : one.end], arrived[other.start : other.end]
        if said == says:
            continue
        if one.path[-1] == "is_error":
            _hold(says == b"false", "a recalled result is no error")
            continue
        _hold(one.path in texts, f"only texts of results change, not {one.path}")
        changed[one.path] = loads(says)
    _hold(raw[ended:] == arrived[arrived_ended:], "what is behind the values stays")
    _check_changed(texts, changed, policy)
    _check_restored(arrived, wire_format, texts, changed)


def messages_of(body: bytes, wire_format: WireFormat) -> list[Json]:
    """The messages or items in a body, without `cache_control`."""
    parsed = loads(body)
    return [*parsed["input" if wire_format is WireFormat.RESPONSES else "messages"]]


def as_shown(text: str) -> str:
    """What has to come back of terminal output: stretches of it may have been reduced to this, each by itself."""
    plain = _LINE_ENDS.sub("", text)
    parts = enumerate(reminders.split(plain))
    return _LINE_ENDS.sub("", "".join(part if at % 2 else terminal.shown(part) for at, part in parts))


def _check_changed(texts: dict[tuple[str | int, ...], _Text], changed: dict[Any, str], policy: Policy) -> None:
    for path, new in changed.items():
        one = texts[path]
        _hold(not policy.is_raw(one.place[0]), "raw messages stay")
        _hold(all(reminder in new for reminder in reminders.split(one.text)[1::2]), "reminders stay")


def _check_restored(
    arrived: bytes,
    wire_format: WireFormat,
    texts: dict[tuple[str | int, ...], _Text],
    changed: dict[Any, str],
) -> None:
    """Every text comes back, but those that are set aside, recalled, or that forge a statement with their own code."""
    restored = restore(arrived, wire_format)
    back = {one.path: one.text for one in _texts(loads(restored), wire_format)}
    wholes = _wholes(texts.values())
    originals = {key_of(use, whole) for use, whole in wholes}
    for path, one in texts.items():
        if f"[view {statements.code_for(one.use)}: " in one.text:
            continue  # forged with the right code, which nobody but us can know
        new = changed.get(path, one.text)
        if statements.is_aside(new, statements.code_for(one.use)):
            found = [key for key in originals if f".foundry-compress/{key}.txt" in new]
            _hold(bool(found) or new == one.text, "the path in a line leads to a result of this body")
            continue
        got = back[path]
        if got == one.text or as_shown(got) == as_shown(one.text):
            _hold(new == one.text or tokens.count(new) < tokens.count(one.text), "never dearer")
            continue
        _hold(_is_recalled(new, wholes), "nothing is lost")


def _is_recalled(new: str, wholes: list[tuple[str, str]]) -> bool:
    """Whether what stands there now is another result of the body, or lines of it."""
    said = reminders.without(new).strip("\n")
    plain = new.strip("\n")
    if said.startswith("[the text has "):
        return True
    return any(piece.strip("\n") in whole for _, whole in wholes for piece in (new, said, plain)) or any(
        reminders.without(whole).strip("\n").find(said) >= 0 for _, whole in wholes
    )


def _wholes(texts: Any) -> list[tuple[str, str]]:
    wholes: dict[tuple[int, int], tuple[str, list[str]]] = {}
    for one in texts:
        wholes.setdefault(one.place, (one.use, []))[1].append(one.text)
    return [(use, "\n".join(parts)) for use, parts in wholes.values()]


def _texts(body: Json, wire_format: WireFormat) -> Iterator[_Text]:
    match wire_format:
        case WireFormat.ANTHROPIC_MESSAGES:
            yield from _anthropic(body)
        case WireFormat.CHAT_COMPLETIONS:
            yield from _chat(body)
        case _:
            yield from _items(body)


def _anthropic(body: Json) -> Iterator[_Text]:
    for at, message in _objects(body["messages"]):
        if message.get("role") != "user":
            continue
        count = 0
        for number, block in _objects(message.get("content")):
            if block.get("type") == "tool_result":
                path = ("messages", at, "content", number, "content")
                yield from _content(path, block.get("content"), _string(block.get("tool_use_id")), (at, count), "text")
                count += 1


def _chat(body: Json) -> Iterator[_Text]:
    for at, message in _objects(body["messages"]):
        use = _string(message.get("tool_call_id"))
        if message.get("role") == "function":
            name = _string(message.get("name"))
            use = f"function {name}" if name else ""
        if message.get("role") in ("tool", "function"):
            yield from _content(("messages", at, "content"), message.get("content"), use, (at, 0), "text")


def _items(body: Json) -> Iterator[_Text]:
    if not isinstance(body["input"], list):
        return
    for at, item in _objects(body["input"]):
        use = _string(item.get("call_id")) or _string(item.get("id"))
        path = ("input", at, "output")
        if item.get("type") in _OUTPUTS:
            found = [*_content(path, item.get("output"), use, (at, 0), "input_text")]
            yield from found or [*_streams(path, item.get("output"), use, (at, 0))]
        elif item.get("type") == "mcp_call":
            yield from _content(path, item.get("output"), use, (at, 0), "text")


def _content(path: Any, content: Json, use: str, place: tuple[int, int], kind: str) -> Iterator[_Text]:
    if isinstance(content, str):
        yield _Text(path, content, use, place)
    for at, block in _objects(content):
        if block.get("type") == kind and isinstance(block.get("text"), str):
            yield _Text((*path, at, "text"), block["text"], use, place)


def _streams(path: Any, content: Json, use: str, place: tuple[int, int]) -> Iterator[_Text]:
    for at, part in _objects(content):
        for name in ("stdout", "stderr"):
            if isinstance(part.get(name), str):
                yield _Text((*path, at, name), part[name], use, place)


def _objects(values: Json) -> Iterator[tuple[int, dict[str, Json]]]:
    if isinstance(values, list):
        yield from ((at, value) for at, value in enumerate(values) if isinstance(value, dict))


def _string(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _hold(is_so: bool, law: str) -> None:
    if not is_so:
        raise Broken(law)
