"""Request bodies of all wire formats, made of bytes: what a client sends, and what none should send."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from compression_engine import WireFormat
from compression_engine.set_aside import key_of
from tests.fuzz.source import Source
from tests.fuzz.tool_output import tool_output

__all__ = ["Session", "session"]

type Json = Any

_TOOLS = ("Read", "Bash", "Edit", "Write", "Grep", "mcp__x__y", "read_file", "shell")
_PATHS = ("src/a.py", "src/b.py", "/home/dev/project/src/a.py", "src/a.py")
_COMMANDS = ("cat src/a.py", "make", "head -n 20 src/a.py", "sed -n 3,9p src/b.py", "git log", "tail src/a.py")
_ANSWERS = (
    "File does not exist. Note: your current working directory is /home/dev.",
    "Exit code 1\ncat: {}: No such file or directory",
    "Wasted call — file unchanged since your last Read.",
    "{} not found",
    "denied by your permission settings",
    "1\tplanted",
)
_ODD: tuple[Json, ...] = (None, 0, 1.5, True, "", [], {}, "text", [[]], [None], {"type": None}, -1, 10**30)
_MOST_TURNS = 8


@dataclass(frozen=True)
class Session:
    """A body in pieces: what stands in front of its messages, each of them as JSON, and what stands behind them.

    `is_wild`: some of it has another shape than any client's.
    """

    wire_format: WireFormat
    front: bytes
    messages: tuple[bytes, ...]
    behind: bytes
    comma: bytes
    is_wild: bool

    def body(self, count: int | None = None) -> bytes:
        """The body with so many messages; all where None."""
        return self.front + self.comma.join(self.messages[:count]) + self.behind


def session(source: Source, wire_format: WireFormat) -> Session:
    """What `source` makes of it."""
    made = _Maker(source, wire_format)
    messages = made.messages()
    writer = _Writer(source)
    tools = [_described(name, wire_format) for name in (("Read", "Bash") if source.one_in(3) else ("Bash",))]
    fields: dict[str, Json] = {"model": "m", "tools": tools}
    if source.one_in(16):
        fields["context_management"] = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    if source.one_in(16):
        fields[source.of(("system", "model", "tools", "stream", "metadata"))] = source.of(_ODD)
        made.is_wild = True
    key = "input" if wire_format is WireFormat.RESPONSES else "messages"
    head = b",".join(writer.write(name) + writer.colon + writer.write(value) for name, value in fields.items())
    front, behind = b"{" + head + b"," + writer.write(key) + writer.colon + b"[", b"]}"
    if source.one_in(24):
        front, behind = b" " + front, b"]," + writer.write(key) + b":[]}"
        made.is_wild = True
    return Session(
        wire_format, front, tuple(map(writer.message, messages)), behind, writer.comma, made.is_wild or writer.is_wild
    )


def _described(name: str, wire_format: WireFormat) -> Json:
    if wire_format is WireFormat.CHAT_COMPLETIONS:
        return {"type": "function", "function": {"name": name}}
    return {"name": name}


class _Writer:
    """Spells JSON in one of many ways, and sometimes wrongly."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._ascii = source.one_in(4)
        self.comma, self.colon = source.of(((b",", b":"), (b",", b":"), (b", ", b": "), (b" ,\n", b" :\t")))
        self.is_wild = False

    def write(self, value: Json) -> bytes:
        separators = (self.comma.decode(), self.colon.decode())
        text = json.dumps(value, ensure_ascii=self._ascii, separators=separators)
        return text.encode("utf-8", "backslashreplace")

    def message(self, message: Json) -> bytes:
        text = self.write(message)
        if self._source.one_in(40):
            self.is_wild = True
            at = self._source.up_to(len(text))
            match self._source.up_to(3):
                case 0:
                    text = text[:at]
                case 1:
                    text = text[:at] + self._source.some_bytes(6) + text[at:]
                case 2:
                    text = text.replace(b'{"', b'{"content":5,"', 1)
                case _:
                    text = text.replace(b'"content"', b'"cont\\u0065nt"', 1)
        return text


class _Pair(NamedTuple):
    """A call, the texts of its result, and whether that fails."""

    use: str
    name: str
    inputs: Json
    texts: list[str]
    fails: bool


class _Maker:
    """Makes the messages of a session."""

    def __init__(self, source: Source, wire_format: WireFormat) -> None:
        self.source = source
        self.wire_format = wire_format
        self.is_wild = False
        self._ids: list[str] = []
        self._keys: list[str] = []
        self._texts: list[str] = []

    def messages(self) -> list[Json]:
        out: list[Json] = [{"role": "user", "content": "Look into it."}]
        for _ in range(self.source.up_to(_MOST_TURNS)):
            out += self._turn()
            if self.source.is_empty:
                break
        if self.source.one_in(30):
            self.is_wild = True
            out.insert(self.source.up_to(len(out)), self.source.of(_ODD))
        return out

    def _turn(self) -> list[Json]:
        if self.source.one_in(8):
            return [
                {"role": "assistant", "content": "Done."},
                {"role": "user", "content": self.source.of(("Go on.", "?"))},
            ]
        pairs = [self._pair() for _ in range(1 + self.source.one_in(4))]
        match self.wire_format:
            case WireFormat.ANTHROPIC_MESSAGES:
                return self._anthropic(pairs)
            case WireFormat.CHAT_COMPLETIONS:
                return self._chat(pairs)
            case _:
                return self._items(pairs)

    def _pair(self) -> _Pair:
        source = self.source
        # The service would not give an id twice.
        use = source.of(self._ids) if self._ids and source.one_in(20) else f"toolu_{len(self._ids)}"
        self._ids.append(use)
        if self._keys and source.one_in(4):
            return self._recall(use)
        name = source.of(_TOOLS)
        inputs = source.of(_ODD) if source.one_in(30) else self._inputs(name, use)
        if self._texts and source.one_in(3):
            texts = [source.of(self._texts)]
        else:
            texts = [tool_output(source, use) for _ in range(1 + source.one_in(6))]
        self._texts += texts
        self._keys.append(key_of(use, "\n".join(texts)))
        return _Pair(use, name, inputs, texts, source.one_in(6))

    def _inputs(self, name: str, use: str) -> Json:
        source = self.source
        path = {"file_path": source.of(_PATHS)}
        match name:
            case "Bash" | "shell":
                command = source.of(_COMMANDS)
                return {"command": command if name == "Bash" else ["bash", "-lc", command]}
            case "Read" | "read_file" if source.one_in(4):
                return path | {"offset": source.of((1, 5, 0, 10**12, "3", None)), "limit": source.up_to(30)}
            case "Write":
                return path | {"content": tool_output(source, use)}
            case "Edit":
                return path | {"old_string": "a", "new_string": tool_output(source, use)}
            case "Grep" | "mcp__x__y":
                return {"pattern": "value", "anything": [1, {"deep": None}]}
            case _:
                return path

    def _recall(self, use: str) -> _Pair:
        source = self.source
        key = source.of(self._keys) if not source.one_in(6) else "0f3a5b7c9d1e2f40516273849a5b6c7d"
        path = source.of(
            (".foundry-compress/{}.txt", "/home/dev/.foundry-compress/{}.txt", "C:\\x\\.foundry-compress\\{}.txt")
        )
        path = path.format(key)
        answer = source.of(_ANSWERS).format(path)
        if source.one_in(4):
            answer += "\n<system-reminder>\nShort.\n</system-reminder>"
        if source.one_in(3):
            command = source.of(
                ("cat {}", "head -n 3 {}", "tail -n 2 {}", "sed -n 2,4p {}", "cat {} | head", "cat '{}'")
            )
            return _Pair(use, "Bash", {"command": command.format(path)}, [answer], fails=True)
        inputs: Json = {"file_path": path}
        if source.one_in(3):
            inputs |= {"offset": source.up_to(12), "limit": source.up_to(12)}
        return _Pair(use, "Read", inputs, [answer], not source.one_in(4))

    def _content(self, texts: list[str], kind: str = "text") -> Json:
        source = self.source
        if source.one_in(30):
            self.is_wild = True
            return source.of(_ODD)
        if len(texts) == 1 and not source.one_in(4):
            return texts[0]
        blocks: list[Json] = [{"type": kind, "text": text} for text in texts]
        if source.one_in(3):
            blocks.insert(source.up_to(len(blocks)), {"type": "image", "source": {"data": "AAAA"}})
        if source.one_in(20):
            self.is_wild = True
            blocks.insert(0, source.of(_ODD))
        return blocks

    def _anthropic(self, pairs: list[_Pair]) -> list[Json]:
        source = self.source
        uses = [{"type": "tool_use", "id": use, "name": name, "input": inputs} for use, name, inputs, _, _ in pairs]
        results: list[Json] = []
        for use, _, _, texts, fails in pairs:
            block: Json = {"tool_use_id": use, "type": "tool_result", "content": self._content(texts)}
            if fails or source.one_in(6):
                block["is_error"] = fails if not source.one_in(20) else source.of(_ODD)
            if source.one_in(30):
                self.is_wild = True
                block.pop(source.of(("tool_use_id", "type", "content")))
            results.append(block)
        if source.one_in(8):
            results.append({"type": "text", "text": "<system-reminder>\nShort.\n</system-reminder>"})
        if source.one_in(8):
            uses.insert(0, {"type": "thinking", "thinking": "", "signature": "s"})
        if source.one_in(30):
            results.reverse()
        return [{"role": "assistant", "content": uses}, {"role": "user", "content": results}]

    def _chat(self, pairs: list[_Pair]) -> list[Json]:
        calls = [
            {"id": use, "type": "function", "function": {"name": name, "arguments": json.dumps(inputs)}}
            for use, name, inputs, _, _ in pairs
        ]
        results = [
            {"role": "tool", "tool_call_id": use, "content": self._content(texts)} for use, _, _, texts, _ in pairs
        ]
        if self.source.one_in(12):
            _, name, inputs, texts, _ = pairs[0]
            return [
                {
                    "role": "assistant",
                    "content": None,
                    "function_call": {"name": name, "arguments": json.dumps(inputs)},
                },
                {"role": "function", "name": name, "content": self._content(texts)},
            ]
        return [{"role": "assistant", "content": None, "tool_calls": calls}, *results]

    def _items(self, pairs: list[_Pair]) -> list[Json]:
        out: list[Json] = []
        if self.source.one_in(4):
            out.append({"type": "reasoning", "id": "rs", "summary": []})
        for use, name, inputs, texts, fails in pairs:
            arguments = json.dumps(inputs)
            match self.source.up_to(7):
                case 0:
                    shell = {
                        "type": "local_shell_call",
                        "call_id": use,
                        "action": {"command": ["bash", "-lc", "cat a.py"]},
                    }
                    out += [shell, {"type": "local_shell_call_output", "id": use, "output": texts[0]}]
                case 1:
                    shell = {"type": "shell_call", "call_id": use, "action": {"commands": ["cat a.py"]}}
                    parts = [{"stdout": text, "stderr": "", "outcome": {}} for text in texts]
                    out += [shell, {"type": "shell_call_output", "call_id": use, "output": parts}]
                case 2:
                    error = "failed" if fails else None
                    mcp = {"type": "mcp_call", "id": use, "name": name, "arguments": arguments, "output": texts[0]}
                    out.append(mcp | {"error": error})
                case _:
                    call = {"type": "function_call", "call_id": use, "name": name, "arguments": arguments}
                    output = self._content(texts, "input_text")
                    out += [call, {"type": "function_call_output", "call_id": use, "output": output}]
        return out
