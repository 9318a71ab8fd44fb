"""What Chat Completions and Responses have in common."""

from __future__ import annotations

from compression_engine.body import Span
from compression_engine.formats.message import ToolCall, ToolResult
from compression_engine.formats.told_failures import says_failure
from compression_engine.formats.tool_calls import call_of
from compression_engine.formats.values import string

__all__ = ["call", "keeps", "result"]

_HOUR = 3600.0
_DAY = 24 * _HOUR


def keeps(body: bytes, fields: dict[str, Span]) -> float:
    """For how many seconds the service keeps what it has cached of a body, at most.

    An hour in memory, or a day where the body asks for that, and for the newest models without being asked. Since a
    deployment's name does not tell its model, only `in_memory` means an hour. Source: Microsoft's page on prompt
    caching of Azure OpenAI, https://learn.microsoft.com/azure/foundry/openai/how-to/prompt-caching.
    """
    asked = string(body, fields.get("prompt_cache_retention"))
    return _HOUR if asked in ("in_memory", "in-memory") else _DAY


def call(message: bytes, fields: dict[str, Span], call_id: str) -> ToolCall:
    """The call of a function: its name, and its inputs as JSON in a string. Raises NotUnderstood."""
    inputs = string(message, fields.get("arguments")) or ""
    return call_of(call_id, string(message, fields.get("name")) or "", inputs.encode("utf-8", "surrogatepass"))


def result(message: bytes, call_id: str, texts: tuple[Span, ...], *, failed: bool = False) -> ToolResult:
    """The result of a call, which `failed` if that is known; else only its text can tell."""
    failed = failed or any(says_failure(message[text.start : text.end]) for text in texts)
    return ToolResult(call_id, failed, texts, marks_errors=False)
