"""What the stand-in bills: a service's prompt cache, played on beginnings of requests.

A beginning is the tools and the system prompt, or these and some of the messages. It is remembered up to the last
`cache_control` of a request, for five minutes after its last use, or for an hour where the request asks for that. The
real service remembers only the places that are marked, and looks for them some blocks back; that makes no difference to
clients that move their mark along, as Claude Code does. A token is four bytes.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

__all__ = ["BYTES_PER_TOKEN", "PromptCache"]

BYTES_PER_TOKEN = 4  # a plausible size; nobody is billed from it
_MINUTES_5, _HOUR = 300.0, 3600.0


class PromptCache:
    """Shared by all who ask; `lifetime` in seconds instead of what requests ask for."""

    def __init__(self, lifetime: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._forgotten_at: dict[bytes, float] = {}
        self._lock = Lock()

    def bill(self, request: bytes) -> dict[str, Any]:
        """The input side of `usage` for a request body, as the Messages API has it; the beginnings are remembered."""
        now = self._clock()
        asks_hour = b'"ttl":"1h"' in request.replace(b" ", b"")
        lifetime = self._lifetime or (_HOUR if asks_hour else _MINUTES_5)
        read = written = total = 0
        with self._lock:
            parts = list(_parts(json.loads(request)))
            marked = max((number for number, (_, _, is_marked) in enumerate(parts) if is_marked), default=-1)
            for number, (digest, size, _) in enumerate(parts):
                total = size // BYTES_PER_TOKEN
                if number <= marked:
                    written = total
                    if self._forgotten_at.get(digest, 0.0) > now:
                        read = total
                    self._forgotten_at[digest] = now + lifetime
        written -= read
        kinds = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
        kinds["ephemeral_1h_input_tokens" if asks_hour else "ephemeral_5m_input_tokens"] = written
        return {
            "input_tokens": total - read - written,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read,
            "cache_creation": kinds,
        }


def _parts(body: dict[str, Any]) -> Iterator[tuple[bytes, int, bool]]:
    """For each beginning its hash, its size in bytes, and whether a mark stands at its end."""
    digest = hashlib.sha256()
    size = 0
    head = [body.get("model"), body.get("tools"), body.get("system")]
    for part in (head, *body.get("messages", ())):
        plain = _json(_without_marks(part))
        digest.update(plain)
        size += len(plain)
        yield digest.digest(), size, b'"cache_control"' in _json(part)


def _without_marks(value: Any) -> Any:
    """`value` as it stays from turn to turn: marks move, and a text becomes a plain string once it is not last."""
    if isinstance(value, list):
        return [_without_marks(entry) for entry in value]
    if isinstance(value, dict):
        kept = {key: _without_marks(entry) for key, entry in value.items() if key != "cache_control"}
        if isinstance(kept.get("content"), str) and "role" in kept:
            kept["content"] = [{"type": "text", "text": kept["content"]}]
        return kept
    return value


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
