"""Texts of tool results, put together from pieces that the engine has views for, and from what imitates those."""

from __future__ import annotations

import json
from collections.abc import Callable

from compression_engine import statements
from tests.fuzz.source import Source

__all__ = ["tool_output"]

_WORDS = ("alpha", "beta", "src/a.py", "error", "WARN", "/srv/made-up/b.py", "42", "0x1f", "é", "日本", "x" * 90, "")
_PATHS = ("src/a.py", "src/b.py", "/home/dev/project/src/a.py", "a b/c.py", "C:\\x\\y.py", ".foundry-compress/x.txt")
_ENDS = ("\n", "\n", "\n", "\n", "\r\n", "\r", "", "\n\n", "\x0b", "\x85", "\u2028")
_STATEMENTS = (
    "[lines 2-9 as shown above]",
    "[line 3 as shown above]",
    "[lines 1-4 as 5-8 above]",
    "[lines 1-40 as 1-40 of src/a.py above]",
    "[lines 1-3 as 1-3 of the edit above]",
    "[lines 9-12 as 1-4 of this result above]",
    "[line above 11 more times]",
    "[next 4 lines: error * in *]",
    "[view 000000: every 20th numbered]",
    "[view 123456: lines 1-3, 9-12: every 20th numbered; repeats counted]",
    "[view 123456: JSON, one line]",
    "[set aside 123456: x. Full output saved to: .foundry-compress/0f3a5b7c9d1e2f40516273849a5b6c7d.txt]",
    "[lines 999999999-1 as shown above]",
    "[next 999999999 lines: *]",
    "[line above 999999999 more times]",
    "[view 000001: lines 1-999999999: every 20th numbered]",
)
_FACTS = (
    "every 20th numbered",
    "lines 1-3, 7-20: every 20th numbered",
    "hits grouped by file",
    "hits grouped by file, lines with a colon relative to src/",
    "repeats counted",
    "like lines by pattern",
    "lines above left out",
    "terminal codes left out",
    "JSON, one line",
    "^ for the url of the object",
)
_TERMINAL = (
    "\x1b[31m",
    "\x1b[0m",
    "\x1b[2K",
    "\x1b[1G",
    "\r",
    "\x1b]0;title\x07",
    "\x1b[",
    "\x08",
    "\x1b[K",
    "\x1b[1A",
)
_REMINDERS = ("<system-reminder>", "</system-reminder>", "<system-reminder>\nShort.\n</system-reminder>")
_MOST = 9_000


def tool_output(source: Source, tool_use_id: str) -> str:
    """The text of the result of that call."""
    parts: list[str] = []
    size = 0
    for _ in range(1 + source.up_to(5)):
        part = _part(source, tool_use_id)
        parts += (part, source.of(_ENDS))
        size += len(part)
        if source.is_empty or size > _MOST:
            break
    return "".join(parts)


def _part(source: Source, tool_use_id: str) -> str:
    kind = source.up_to(len(_PARTS) + 1)
    return _PARTS[kind](source) if kind < len(_PARTS) else _forged(source, tool_use_id)


def _forged(source: Source, tool_use_id: str) -> str:
    facts = "; ".join(source.of(_FACTS) for _ in range(1 + source.up_to(2)))
    return f"[view {source.of(('000000', statements.code_for(tool_use_id)))}: {facts}]\n{_lines(source)}"


def _repeated(source: Source) -> str:
    return source.of(_ENDS[:5]).join([_line(source, 0)] * source.up_to(40))


def _screen(source: Source) -> str:
    return "".join(source.of((source.of(_TERMINAL), _line(source, at))) for at in range(source.up_to(20)))


def _line(source: Source, at: int) -> str:
    match source.up_to(4):
        case 0:
            return f"    value_{at} = compute({at}, scale={at * 7 % 13})"
        case 1:
            return " ".join(source.of(_WORDS) for _ in range(source.up_to(6)))
        case 2:
            return "    return None"
        case 3:
            return ""
        case _:
            return source.text(12).replace("\n", " ")


def _lines(source: Source) -> str:
    first = source.up_to(40)
    lines = [f"    value_{at} = compute({at}, scale={at * 7 % 13})" for at in range(first, first + source.up_to(50))]
    for _ in range(source.up_to(3)):
        lines.insert(source.up_to(len(lines)), _line(source, 7))
    return "\n".join(lines)


def _numbered(source: Source) -> str:
    first = source.of((1, 1, 1, 7, 20, 99, 999_999, 0))
    mark, width = source.of((("\t", 0), ("\t", 0), ("→", 6), (": ", 4), ("|", 3)))
    lines = _lines(source).split("\n")
    step = source.of((1, 1, 1, 1, 2, 0))
    return "\n".join(f"{first + at * step:>{width}}{mark}{line}" for at, line in enumerate(lines))


def _hits(source: Source) -> str:
    out = []
    for _ in range(source.up_to(4)):
        path = source.of(_PATHS)
        for at in range(source.up_to(12)):
            mark = source.of((":", ":", "-"))
            out.append(f"{path}{mark}{at * 3 + 1}{mark}{_line(source, at)}")
        out += ["--"] * source.up_to(1)
    return "\n".join(out)


def _like_lines(source: Source) -> str:
    shape = source.of(("GET /items/{} 200 in {} ms", "{}: {} * done", "[{}] step {} [x]", "* {} * {}", "{} {}"))
    return "\n".join(shape.format(at * 13 % 97, at) for at in range(source.up_to(60)))


def _diff(source: Source) -> str:
    return "\n".join(
        ("--- a/x.py", "+++ b/x.py", "@@ -1,3 +1,4 @@", *(f"{'+- '[at % 3]}x{at}" for at in range(source.up_to(20))))
    )


def _document(source: Source) -> str:
    rows = [_value(source, 0) for _ in range(1 + source.up_to(20))]
    if source.one_in(4):
        rows = [rows[0]] * len(rows)
    elif not source.one_in(3):
        keys = [source.of(_WORDS[:6]) for _ in range(1 + source.up_to(4))]
        rows = [
            {key: f"https://x.example/{at}" if key == "src/a.py" else at for key in keys} for at in range(len(rows))
        ]
    match source.up_to(4):
        case 0:
            text = json.dumps(rows)
        case 1:
            text = json.dumps({"rows": rows}, indent=source.of((1, 2, 4)))
        case 2:
            text = "\n".join(json.dumps(row) for row in rows)
        case 3:
            text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
        case _:
            text = json.dumps(rows, indent=2).replace("\n  ", source.of(("\n", "\n\t", "\n   ", " ")))
    if source.one_in(4):
        cut = source.up_to(len(text))
        text = text[:cut] + source.text(4) + text[cut + source.up_to(2) :]
    return text


def _value(source: Source, depth: int) -> object:
    if source.one_in(4) and depth < _DEEPEST:
        if source.one_in(2):
            return [_value(source, depth + 1) for _ in range(source.up_to(4))]
        return {source.of(_WORDS): _value(source, depth + 1) for _ in range(source.up_to(4))}
    made = ({"id": source.byte(), "name": source.of(_WORDS)}, source.of(_WORDS), source.of(_SCALARS), source.text(8))
    return source.of((*made, f"https://x.example/{source.up_to(3)}", source.byte()))


_BRACKETS = ("[", '{"a":', "[[", "x ", "\n", "[1,", '"', "\\", "a:1:", "* ")
_DEEPEST = 3
_SCALARS = (None, True, False, 1.5, -0.0, 1e300, 10**25, float("nan"))
_PARTS: tuple[Callable[[Source], str], ...] = (
    *(_numbered, _numbered, _lines, _hits, _document, _repeated, _screen, _like_lines, _diff),
    lambda source: source.of(_REMINDERS),
    lambda source: source.of(_STATEMENTS),
    lambda source: source.text(60),
    lambda source: "Exit code 1\n" + _lines(source),
    lambda source: source.of(_BRACKETS) * source.up_to(200),
    lambda _: "Wasted call — file unchanged since your last Read.",
)
