"""Branches in a Redis server, which proxies on several machines share: hashes, policies and times, no content.

Each method takes one round trip where a conversation just goes on. What has not been used for a while expires, and a
server that is short of memory may give up anything earlier: nothing in it is needed for a right answer.
"""

from __future__ import annotations

import ipaddress
import math
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from itertools import batched
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import msgspec

from configuring.state_url import StateUrl
from conversations.branch import Branch, Cache, Found, StoreError, Wanted

if TYPE_CHECKING:
    import redis

__all__ = ["HOW_TO_GET_IT", "IS_AVAILABLE", "KEPT_SECONDS", "RedisStore"]

IS_AVAILABLE = find_spec("redis") is not None
HOW_TO_GET_IT = "the package redis is not installed: `pip install redis` into the environment that runs mitmdump"

# The version of what is written. In braces, so that a cluster keeps all of it in one place, as the scripts need it.
_PREFIX = "{fc1}"

KEPT_SECONDS = 7 * 24 * 3600
"""How long what is not used is kept."""

# A request waits so long for a server that does not answer; then it is left alone for a while, see `FailsafeStore`. To
# give up on one that is only slow may break prompt caches, which costs more than a second.
_CONNECT_SECONDS = 1.0
_ANSWER_SECONDS = 1.0

_NEAR = 8  # a conversation is mostly found among the last hashes of a request
_AT_ONCE = 1000  # digests in one call: more would hold up the server's other clients
_MOST_OF_ONE = 64  # so many branches are kept that have the same messages: the last ones
_MOST_VERSION = 2**53  # so far the server's scripts count exactly; nobody sends so many requests
_ALL_ANEW = 32  # every so many requests all that leads to a branch is written again, so that it does not expire

# Networks forget a connection on which nothing has come for some minutes, and say so to nobody.
_KEEP_ALIVE: dict[str, Any] = {
    "socket_keepalive": True,
    "socket_keepalive_options": {
        getattr(socket, name): value
        for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    },
}

# What every script begins with. Redis's own clock, since those of the proxies' machines may differ.
_INDEX = f"""
local function index(id, first)
    local time = redis.call('TIME')
    for at = first, #ARGV do
        local key = '{_PREFIX}d' .. ARGV[at]
        redis.call('ZADD', key, time[1] + time[2] / 1e6, id)
        redis.call('ZREMRANGEBYRANK', key, 0, -{_MOST_OF_ONE + 1})
        redis.call('EXPIRE', key, {KEPT_SECONDS})
    end
end
"""

# KEYS: any. ARGV: id, digests.
_INDEX_MORE = f"{_INDEX} index(ARGV[1], 2) return 0"

# KEYS: branch, cache. ARGV: id, version, branch, cache, digests. Gives 0 if the version is not above that which is
# kept, 2 if the cache was known, else 1.
_SAVE = f"""{_INDEX}
local before = redis.call('GET', KEYS[1])
if before and tonumber(string.match(before, '^%d+') or -1) >= tonumber(ARGV[2]) then return 0 end
local known = redis.call('EXISTS', KEYS[2])
redis.call('SET', KEYS[1], ARGV[3], 'EX', {KEPT_SECONDS})
redis.call('SET', KEYS[2], ARGV[4], 'EX', {KEPT_SECONDS})
index(ARGV[1], 5)
return 1 + known
"""

# KEYS: any. ARGV: digests. Gives the number of a digest, the branch and its cache, for every branch that any of the
# digests leads to; of several digests the first.
_FIND = f"""
local found, seen = {{}}, {{}}
for at = 1, #ARGV do
    for _, id in ipairs(redis.call('ZRANGE', '{_PREFIX}d' .. ARGV[at], 0, -1)) do
        local branch = not seen[id] and redis.call('GET', '{_PREFIX}b' .. id)
        seen[id] = true
        local name = branch and string.match(branch, '^%d+ (%S+) ')
        local cache = name and redis.call('GET', '{_PREFIX}c' .. name)
        if cache then
            found[#found + 1] = {{at, branch, cache}}
        end
    end
end
return found
"""

# KEYS: cache. ARGV: as it was, as it shall be. Gives 0 if it was changed meanwhile.
_CHANGE = f"""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', {KEPT_SECONDS})
return 1
"""
_TRIES = 4

_to_bytes = msgspec.msgpack.Encoder().encode
_to_branch = msgspec.msgpack.Decoder(Branch).decode
_to_cache = msgspec.msgpack.Decoder(Cache).decode
_CODE = re.compile(r"[A-Z]{2,20}")


class RedisStore:
    """A store in a Redis server. Methods raise `StoreError`; for use by one thread at a time."""

    is_near = False

    def __init__(self, url: StateUrl) -> None:
        self._url = url
        self._client: redis.Redis | None = None
        self._scripts: dict[str, Any] = {}

    def find(self, digests: Sequence[bytes], head: bytes | None, wanted: Wanted | None = None) -> Found | None:
        """See `Store`."""
        if not digests:
            return None
        near = max(0, len(digests) - _NEAR)
        ends = [near, *range(near - _AT_ONCE, -_AT_ONCE, -_AT_ONCE)] if near else [near]
        end = len(digests)
        for start in ends:
            if found := self._find_between(digests, max(0, start), end, head, wanted):
                return found
            end = max(0, start)
        return None

    def _find_between(
        self, digests: Sequence[bytes], start: int, end: int, head: bytes | None, wanted: Wanted | None
    ) -> Found | None:
        found: list[Found] = []
        for at, branch_value, cache_value in self._run(_FIND, [_PREFIX], digests[start:end][::-1]):
            branch = _branch(branch_value, cache_value)
            if branch and (head is None or branch.head == head) and (wanted is None or wanted(branch)):
                found.append(Found(branch, end - at + 1))
        return max(found, key=lambda one: (one.known, one.branch.cache.last_sent or 0), default=None)

    def state(self) -> object:
        """Others may have written at any time, so it is always another."""
        return object()

    def save(self, branch: Branch, digests: Sequence[bytes], known: int = 0) -> bool:
        """See `Store`."""
        cache = branch.cache
        if (branch.version + 1) % _ALL_ANEW == 0:
            known = 0
        first = max(known, len(digests) - _AT_ONCE)
        values = (branch.id, branch.version, _value(branch), _to_bytes(cache))
        done = self._run(_SAVE, [_key("b", branch.id), _key("c", cache.id)], [*values, *digests[first:]])
        if not done:
            return False
        if done == 1:
            known = 0
        for some in batched(digests[known:first], _AT_ONCE):
            self._run(_INDEX_MORE, [_PREFIX], [branch.id, *some])
        return True

    def settle(self, cache_id: str, asked_at: float, *, answered: bool) -> None:
        """See `Store`."""
        key = _key("c", cache_id)
        for _ in range(_TRIES):
            with self._errors():
                before: Any = self._open().get(key)
            if before is None:
                return
            after = _to_bytes(_cache(before).settled(asked_at, answered=answered))
            if self._run(_CHANGE, [key], [before, after]):
                return
        # Others change it all the time: that one request counts as answered, or as on its way, does no harm.

    def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        with self._errors():
            client = self._open()
            if script not in self._scripts:
                self._scripts[script] = client.register_script(script)
            return self._scripts[script](keys, arguments, client)

    def _open(self) -> redis.Redis:
        if self._client is None:
            self._client = self._opened()
        return self._client

    def _opened(self) -> redis.Redis:
        import redis  # noqa: PLC0415 - only who uses it needs it
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415

        if self._url.host and not _is_found(self._url.host, _CONNECT_SECONDS):
            raise StoreError("its name cannot be resolved")
        return redis.Redis.from_url(
            self._url.value,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            **(_KEEP_ALIVE if self._url.host else {}),
            protocol=2,
            retry=Retry(NoBackoff(), 0),
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Whatever the client raises becomes a `StoreError` of which nothing quotes what was sent."""
        if not IS_AVAILABLE:
            raise StoreError(HOW_TO_GET_IT)
        import redis  # noqa: PLC0415

        try:
            yield
        except (redis.RedisError, OSError, ValueError) as error:
            raise StoreError(_said(error)) from None


def _said(error: Exception) -> str:
    """The kind of an error, and the code that Redis's own messages begin with: OOM, READONLY, NOAUTH."""
    code = _CODE.match(str(error)) if type(error).__module__.startswith("redis") else None
    words = str(error).split(maxsplit=1)
    return f"{type(error).__name__} {code[0]}" if code and words[0] == code[0] else type(error).__name__


def _is_found(host: str, seconds: float) -> bool:
    """Whether the name `host` is resolved within so many seconds; the resolver itself knows no limit."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _in_time(lambda: socket.getaddrinfo(host, None), seconds)
    return True


def _in_time(act: Callable[[], object], seconds: float) -> bool:
    done = Event()

    def run() -> None:
        try:
            act()
        except (OSError, UnicodeError):
            return
        done.set()

    thread = Thread(target=run, name="foundry-resolver", daemon=True)
    thread.start()
    thread.join(seconds)
    return done.is_set()


def _key(kind: str, name: str) -> str:
    return f"{_PREFIX}{kind}{name}"


def _value(branch: Branch) -> bytes:
    """A branch as it is kept: what the scripts read of it stands first. Its cache is kept on its own."""
    bare = replace(branch, cache=Cache(branch.cache.id))
    return b"%d %s %s" % (branch.version, branch.cache.id.encode(), _to_bytes(bare))


def _branch(branch_value: bytes, cache_value: bytes) -> Branch | None:
    """What was kept; None if it cannot be read, because another version wrote it, or somebody made it up."""
    try:
        branch = replace(_to_branch(branch_value.split(b" ", 2)[2]), cache=_to_cache(cache_value))
    except (msgspec.DecodeError, IndexError):
        return None
    return branch if branch.version < _MOST_VERSION and _are_times(branch.cache) else None


def _are_times(cache: Cache) -> bool:
    """Whether a cache can be reckoned with."""
    times = (cache.keeps, *cache.asked, cache.answered_at or 0.0)
    return all(map(math.isfinite, times)) and cache.keeps <= KEPT_SECONDS


def _cache(value: bytes) -> Cache:
    try:
        return _to_cache(value)
    except msgspec.DecodeError:
        raise StoreError("times that cannot be read") from None
