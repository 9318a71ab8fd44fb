"""An engine in a process of its own, for work that would hold up everybody else's streams.

Python lets one thread at a time run, so that the event loop waits for its turn whenever another thread works. A
process has its own turn, and the rewritten body depends on the body and the policy alone: it does not matter where it
is made. The process holds nothing but what an engine remembers, gets lower priority than the proxy, and ends with it.
What it knows of a conversation then is handed over, so that the next turns need not go to it.

Both ends speak in pickled tuples. They are the same program on two ends of a pipe that nobody else has.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

from compression_engine import (
    Conversation,
    Engine,
    NotUnderstood,
    Outcome,
    Policy,
    ResultChange,
    Rewrite,
    WireFormat,
    tokens,
)
from interpreter import SWITCH_SECONDS

__all__ = ["EngineProcess", "EngineProcessError", "serve"]

_ADDONS = Path(__file__).resolve().parents[1]
_NICENESS = 5
_THREADS = 2  # so that one long work does not hold up the next
_ASK_SECONDS = 0.05  # how often is asked whether to go on
_HANGS_SECONDS = 5.0  # it says of each thing that it has got it: far above what that takes
_LONGEST_SECONDS = 60.0  # no work takes so long once it has begun: it hangs
_ENDS_SECONDS = 1.0
_MOST_STARTS = 3  # in a row: what ends so often ends again
_STEADY_SECONDS = 600.0  # what ran so long had not ended for nothing
_MOST_LEARNED = 16  # bodies at once: each waits in memory
_MOST_HANDED_OVER = 8  # th part of its memory: a larger conversation would push out too many others of the proxy's
_MOST_ANSWERED = 16  # of which it is still to say how many tokens their results have; not all are handed over
_ENDED = "the engine's process has ended"
# `-I`: nothing of the user's environment or folder; the path is given in the one line.
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); from rewriting.engine_process import serve; serve(int(sys.argv[2]))"
)


class EngineProcessError(Exception):
    """The process ended, hangs, or made a mistake; one line without content."""


class EngineProcess:
    """The process, seen from the proxy. Threads may use it at once, and none waits for a pipe.

    `adopt` gets the conversations that it hands over, on a thread of its own.
    """

    def __init__(self, memory_bytes: int, adopt: Callable[[Conversation], None] = lambda _: None) -> None:
        self._memory_bytes = memory_bytes
        self._adopt = adopt
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._starts = 0
        self._is_closed = False

    @property
    def is_ready(self) -> bool:
        """Whether work can be given to it; it takes a second to start."""
        running = self._running
        return running is not None and running.is_ready

    def start(self) -> None:
        """Start it, unless it runs, was closed or has ended too often. It is ready later."""
        with self._lock:
            last = self._running
            if last is not None and last.ran_for > _STEADY_SECONDS:
                self._starts = 0
            runs = last is not None and not last.has_ended
            if runs or self._is_closed or self._starts >= _MOST_STARTS:
                return
            self._starts += 1
            command = [sys.executable, "-I", "-c", _PROGRAM, str(_ADDONS), str(self._memory_bytes)]
            try:
                process = subprocess.Popen(  # noqa: S603 - our own program
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                )
            except OSError:
                return
            self._running = _Running(process, self._adopt)

    async def rewrite(
        self, body: bytes, wire_format: WireFormat, policy: Policy, goes_on: Callable[[], bool]
    ) -> Rewrite:
        """As `Engine.rewrite`, elsewhere. Raises EngineProcessError.

        Where it is not to go on, nobody waits until the process has heard so.
        """
        running = self._in_use()
        number, future = running.give(body, wire_format, policy)
        answer = asyncio.wrap_future(future)
        while not answer.done():
            await asyncio.wait([answer], timeout=_ASK_SECONDS)
            if not answer.done() and not goes_on():
                running.stop(number)
                return Rewrite(body, Outcome.STOPPED)
            running.end_if_it_hangs()
        rewrite = answer.result()
        return rewrite if rewrite.body else replace(rewrite, body=body)

    def learn(self, body: bytes, wire_format: WireFormat, policy: Policy) -> None:
        """Have it work on a body that nobody waits for, unless it has much to do. Raises EngineProcessError."""
        running = self._in_use()
        running.end_if_it_hangs()
        if running.waiting < _MOST_LEARNED:
            running.give(body, wire_format, policy)

    def close(self) -> None:
        """End it for good; what waits for it fails."""
        with self._lock:
            self._is_closed = True
            running = self._running
        if running is not None:
            running.end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(_ENDS_SECONDS)

    def _in_use(self) -> _Running:
        if self._running is None:
            raise EngineProcessError(_ENDED)
        return self._running


@dataclass(slots=True)
class _Work:
    """What the process was given, when (monotonic), whether it has said that it got it, and when that it has begun."""

    asked_at: float
    future: Future[Rewrite] = field(default_factory=Future)
    has_arrived: bool = False
    begun_at: float | None = None


class _Running:
    """One process from its start to its end: a thread writes to it, and one hears what it says.

    So whoever gives it work, or ends it, never waits for a pipe that a stopped process does not empty.
    """

    def __init__(self, process: subprocess.Popen[bytes], adopt: Callable[[Conversation], None]) -> None:
        self.process = process
        self._adopt = adopt
        self.is_ready = False
        self.has_ended = False
        self.ran_for = 0.0  # seconds, once it has ended
        self._started_at = self._heard_at = time.monotonic()
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._work: dict[int, _Work] = {}
        self._changes: OrderedDict[int, tuple[ResultChange, ...]] = OrderedDict()  # of the last answers, to be counted
        self._to_write: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        for act in (self._write, self._listen):
            threading.Thread(target=act, name="foundry-process", daemon=True).start()

    @property
    def waiting(self) -> int:
        """How much work it has."""
        return len(self._work)

    def end_if_it_hangs(self) -> None:
        """Kill it where something did not even arrive, and nothing else did meanwhile, or where work never ends."""
        now = time.monotonic()
        with self._lock:
            works = list(self._work.values())
            is_silent = self._heard_at < now - _HANGS_SECONDS
        never_arrived = any(not work.has_arrived and work.asked_at < now - _HANGS_SECONDS for work in works)
        never_ends = any(work.begun_at is not None and work.begun_at < now - _LONGEST_SECONDS for work in works)
        if never_ends or (is_silent and never_arrived):
            self.end("the engine's process hangs")

    def give(self, body: bytes, wire_format: WireFormat, policy: Policy) -> tuple[int, Future[Rewrite]]:
        """Give it work: its number, and what will come of it. Raises EngineProcessError."""
        work = _Work(time.monotonic())
        with self._lock:
            if self.has_ended:
                raise EngineProcessError(_ENDED)
            number = next(self._numbers)
            self._work[number] = work
        self._to_write.put((number, body, wire_format.value, policy))
        return number, work.future

    def stop(self, number: int) -> None:
        """Have it stop work that nobody waits for any more."""
        with self._lock:
            self._work.pop(number, None)
        self._to_write.put((number, None, "", None))

    def end(self, reason: str = _ENDED) -> None:
        """Kill it; what waits for it fails."""
        with self._lock:
            if not self.has_ended:
                self.ran_for = time.monotonic() - self._started_at
            self.has_ended, self.is_ready = True, False
            left, self._work = self._work, {}
        self._to_write.put(None)
        self.process.kill()
        for work in left.values():
            _resolve(work.future, reason)

    def _write(self) -> None:
        pipe = self.process.stdin
        assert pipe is not None  # noqa: S101 - asked for
        with contextlib.suppress(Exception):  # it has ended
            while (message := self._to_write.get()) is not None:
                _write(pipe, message)
        with contextlib.suppress(OSError):
            pipe.close()

    def _listen(self) -> None:
        pipe = self.process.stdout
        assert pipe is not None  # noqa: S101 - asked for
        with contextlib.suppress(Exception):  # it has ended, or is another version of the program
            while True:
                self._hear(*_read(pipe))
        self.end()
        self.process.wait()
        with contextlib.suppress(OSError):
            pipe.close()

    def _hear(self, number: int, answer: _Answer) -> None:
        if isinstance(answer, Conversation):
            for change, same in zip(self._changes.pop(number, ()), answer.changes, strict=False):
                change.learn(same)
            self._adopt(answer)
            return
        with self._lock:
            self._heard_at = time.monotonic()
            if answer is _Sign.READY:
                self.is_ready = not self.has_ended
                return
            work = self._work.get(number)
            if work is None:
                return
            if answer is _Sign.ARRIVED:
                work.has_arrived = True
            elif answer is _Sign.BEGUN:
                work.begun_at = self._heard_at
            else:
                del self._work[number]
                _resolve(work.future, answer)
                if isinstance(answer, Rewrite):
                    self._changes[number] = answer.changes
                    while len(self._changes) > _MOST_ANSWERED:
                        self._changes.popitem(last=False)


class _Sign(Enum):
    """What the process says besides what comes of its work."""

    READY = 1
    ARRIVED = 2
    BEGUN = 3


type _Answer = Rewrite | Conversation | str | _Sign
"""What came of the work; what is handed over after it; or what was raised."""


def _resolve(future: Future[Rewrite], answer: Rewrite | str) -> None:
    with contextlib.suppress(InvalidStateError):  # nobody waits any more
        if isinstance(answer, Rewrite):
            future.set_result(answer)
        else:
            future.set_exception(EngineProcessError(answer))


def serve(memory_bytes: int) -> None:
    """What the process does until its standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the proxy, with which this ends
    with contextlib.suppress(OSError, AttributeError):
        os.nice(_NICENESS)
    sys.setswitchinterval(SWITCH_SECONDS)  # its reading is to wait no longer for its working, 64 kB at a time
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    engine = Engine(memory_bytes)
    stops: dict[int, threading.Event] = {}
    writing = threading.Lock()

    def say(number: int, answer: _Answer) -> None:
        message = pickle.dumps((number, answer), pickle.HIGHEST_PROTOCOL)  # before the others have to wait
        with writing, contextlib.suppress(OSError):
            answers.write(message)
            answers.flush()

    def work(number: int, body: bytes, wire_format: str, policy: Policy) -> None:
        stop = stops[number]
        say(number, _Sign.BEGUN)
        try:
            prompt = engine.read(body, WireFormat(wire_format))
            rewrite = engine.write(prompt, policy, lambda: not stop.is_set())
            say(number, replace(rewrite, body=b"") if rewrite.body is body else rewrite)
            if rewrite.outcome is not Outcome.STOPPED:
                for change in rewrite.changes:
                    change.count()  # behind the answer; what is handed over says so there
                engine.hand_over(prompt, policy, memory_bytes // _MOST_HANDED_OVER, partial(say, number))
        except NotUnderstood:
            say(number, Rewrite(b"", Outcome.NOT_UNDERSTOOD))
        except BaseException as error:  # noqa: BLE001 - native code panics outside Exception
            say(number, type(error).__name__)
        finally:
            del stops[number]

    tokens.warm_up()
    say(-1, _Sign.READY)
    threads = ThreadPoolExecutor(_THREADS)
    with contextlib.suppress(Exception):  # the end of the pipe, or a proxy of another version
        while True:
            number, body, wire_format, policy = _read(requests)
            if body is not None:
                say(number, _Sign.ARRIVED)
                stops[number] = threading.Event()
                threads.submit(work, number, body, wire_format, policy)
            elif (stop := stops.get(number)) is not None:
                stop.set()
    os._exit(0)  # nobody waits for what is not done, so neither does this


def _write(pipe: IO[bytes], message: tuple[Any, ...]) -> None:
    pickle.dump(message, pipe, pickle.HIGHEST_PROTOCOL)
    pipe.flush()


def _read(pipe: IO[bytes]) -> tuple[Any, ...]:
    """The next message, taken from the pipe piece by piece, so that other threads get their turn. Raises EOFError."""
    message: tuple[Any, ...] = pickle.load(pipe)  # noqa: S301 - from ourselves
    return message
