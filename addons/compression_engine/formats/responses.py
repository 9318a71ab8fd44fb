"""Responses: `{"input": "…" | [item, …], …}`; messages, calls, results and reasoning are items of their own.

With `previous_response_id` or `conversation` the service holds what came before, as it was sent, and the body holds
what is new: its results are written shorter, and refer to nothing that is not in this body.
Unless `store` is false, it keeps this body as well, and the next one may go on from it so.
With `truncation` the service drops items when they become too many, and with compaction it reads none in front of its
summary: then nothing may refer to what came before.

Sources: OpenAI's API reference and the types of its Python package.
"""

from __future__ import annotations

from compression_engine.body import NotUnderstood, Span, members
from compression_engine.formats import openai
from compression_engine.formats.message import Message, Request, ToolCall, ToolResult
from compression_engine.formats.tool_calls import call_of, can_read_files
from compression_engine.formats.values import (
    digest_of,
    elements_within,
    is_array,
    is_object,
    is_string,
    member,
    members_within,
    string,
    texts_of,
)

__all__ = ["canonical", "is_answer", "is_marked", "parse", "read"]

# A conversation takes up what it is sent, whatever `store` says. A response in the background is always stored.
_BY_REFERENCE = ("previous_response_id", "conversation")
_HEAD = ("model", "instructions", "tools", "text", *_BY_REFERENCE)
_OUTPUTS = ("function_call_output", "custom_tool_call_output", "local_shell_call_output", "shell_call_output")


def read(body: bytes) -> Request:
    """Where the items stand in `body`, and what is around them; a text alone holds none. Raises NotUnderstood."""
    fields = members(body)
    given = fields.get("input")
    if given is None or not (is_array(body, given) or is_string(body, given)):
        raise NotUnderstood("no input")
    return Request(
        tuple(elements_within(body, given)) if is_array(body, given) else (),
        drops_old_results=string(body, fields.get("truncation")) == "auto"
        or b'"compaction"' in member(body, fields, "context_management"),
        head=digest_of((name, member(body, fields, name)) for name in _HEAD),
        can_read_files=can_read_files(member(body, fields, "tools")),
        model=string(body, fields.get("model")) or "",
        keeps=openai.keeps(body, fields),
        is_kept=_is_kept(body, fields),
    )


def _is_kept(body: bytes, fields: dict[str, Span]) -> bool:
    if member(body, fields, "store") != b"false":
        return True
    return any(member(body, fields, name) not in (b"", b"null") for name in _BY_REFERENCE)


def canonical(message: bytes) -> bytes:
    """The item as it will be sent in later requests, which is as it is."""
    return message


def is_answer(message: bytes) -> bool:
    """Whether the item is of the model's making: an answer has several, one behind the other."""
    try:
        fields = members(message)
        kind, role = string(message, fields.get("type")), string(message, fields.get("role"))
    except NotUnderstood:
        return False
    if kind in (None, "message"):
        return role == "assistant"
    return not kind.endswith("_output") and kind not in ("item_reference", "mcp_approval_response", "compaction")


def is_marked(_message: bytes) -> bool:
    """No: the service caches by itself."""
    return False


def parse(message: bytes) -> Message:
    """The tool call or the result, or both, that the item is. Raises NotUnderstood."""
    fields = members(message)
    kind = string(message, fields.get("type"))
    call_id = string(message, fields.get("call_id")) or string(message, fields.get("id")) or ""
    if kind in _OUTPUTS:
        output = fields.get("output")
        failed = _failed(message, output)
        return Message(results=(openai.result(message, call_id, _outputs(message, output), failed=failed),))
    match kind:
        case "function_call":
            return Message(calls=(openai.call(message, fields, call_id),))
        case "custom_tool_call":
            name = string(message, fields.get("name")) or ""
            return Message(calls=(ToolCall(call_id, name, tool=name),))
        case "local_shell_call" | "shell_call":
            return Message(calls=(call_of(call_id, kind, _action(message, fields)),))
        case "mcp_call":
            return Message((openai.call(message, fields, call_id),), (_mcp_result(message, fields, call_id),))
        case _:
            return Message()


def _outputs(message: bytes, output: Span | None) -> tuple[Span, ...]:
    """The texts of an output: itself, its parts, or what a shell wrote to both its channels."""
    texts = texts_of(message, output, "input_text")
    if texts or output is None or not is_array(message, output):
        return texts
    streams = []
    for part in elements_within(message, output):
        fields = members_within(message, part)
        streams += [text for name in ("stdout", "stderr") if is_string(message, text := fields.get(name)) and text]
    return tuple(streams)


def _failed(message: bytes, output: Span | None) -> bool:
    """Whether a shell says of one of its commands that it failed, or took too long."""
    if output is None or not is_array(message, output):
        return False
    for part in elements_within(message, output):
        outcome = members_within(message, part).get("outcome")
        if outcome is not None and is_object(message, outcome):
            fields = members_within(message, outcome)
            code = member(message, fields, "exit_code")
            if code not in (b"", b"0", b"null") or string(message, fields.get("type")) == "timeout":
                return True
    return False


def _action(message: bytes, fields: dict[str, Span]) -> bytes:
    """What a call of the shell asks for: a command in words, or a list of commands, of which a single one is told."""
    action = fields.get("action")
    if action is None or not is_object(message, action):
        return b""
    asked = members_within(message, action).get("commands")
    if asked is None or not is_array(message, asked):
        return member(message, fields, "action")
    commands = elements_within(message, asked)
    return b'{"command":%b}' % message[commands[0].start : commands[0].end] if len(commands) == 1 else b""


def _mcp_result(message: bytes, fields: dict[str, Span], call_id: str) -> ToolResult:
    """The service has called the tool and gone on from the result, so it holds that as it is."""
    error = fields.get("error")
    failed = error is not None and message[error.start : error.end] != b"null"
    texts = texts_of(message, fields.get("output"))
    return ToolResult(call_id, failed, texts, was_sent=True)
