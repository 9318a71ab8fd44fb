"""An engine in a process of its own, for work that would hold up everybody else's streams.

Python lets one thread at a time run, so that the event loop waits for its turn whenever another thread works. A
process has its own turn, and the rewritten body depends on the body and the policy alone: it does not matter where it
is made. The process holds nothing but what an engine remembers, gets lower priority than the proxy, and ends with it.

Both ends speak in frames: eight bytes of length, then a pickled tuple. They are the same program on two ends of a pipe
that nobody else has.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from compression_engine import Engine, Policy, Rewrite, WireFormat, tokens

__all__ = ["EngineProcess", "EngineProcessError", "serve"]

_HERE = Path(__file__).resolve().parent
_LENGTH = 8
_NICENESS = 5
_THREADS = 2  # so that one long work does not hold up the next
_ASK_SECONDS = 0.05  # how often is asked whether to go on
_LONGEST_SECONDS = 60.0  # no work takes so long: the process hangs
_MOST_STARTS = 3
# `-I`: nothing of the user's environment or folder; the path is given in the one line.
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from engine_process import serve; serve(int(sys.argv[2]))"


class EngineProcessError(Exception):
    """The process ended, hangs, or made a mistake; one line without content."""


class EngineProcess:
    """The process, seen from the proxy. Several threads may use it at once."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: dict[int, Future[Rewrite]] = {}
        self._is_ready = False
        self._starts = 0

    @property
    def is_ready(self) -> bool:
        """Whether work can be given to it; it takes a second to start."""
        return self._is_ready

    def start(self) -> None:
        """Start it, unless it runs or has ended too often. It is ready later."""
        with self._lock:
            if self._process is not None or self._starts >= _MOST_STARTS:
                return
            self._starts += 1
            command = [sys.executable, "-I", "-c", _PROGRAM, str(_HERE), str(self._memory_bytes)]
            try:
                process = subprocess.Popen(  # noqa: S603 - our own program
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                )
            except OSError:
                return
            self._process = process
        threading.Thread(target=self._listen, args=(process,), name="foundry-process", daemon=True).start()

    def rewrite(self, body: bytes, wire_format: WireFormat, policy: Policy, goes_on: Callable[[], bool]) -> Rewrite:
        """As `Engine.rewrite`, elsewhere; waits for it. Raises EngineProcessError."""
        number, future = next(self._numbers), Future[Rewrite]()
        self._send(number, future, (number, body, wire_format.value, policy))
        is_told = False
        for _ in range(int(_LONGEST_SECONDS / _ASK_SECONDS)):
            try:
                rewrite = future.result(_ASK_SECONDS)
            except TimeoutError:
                if not is_told and not goes_on():
                    is_told = True
                    self._send(number, future, (number, None, "", None))
                continue
            return rewrite if rewrite.body else replace(rewrite, body=body)
        self.close()
        raise EngineProcessError("the engine's process hangs")

    def learn(self, body: bytes, wire_format: WireFormat, policy: Policy) -> None:
        """Have it work on a body whose outcome nobody waits for. Raises EngineProcessError."""
        number = next(self._numbers)
        self._send(number, Future(), (number, body, wire_format.value, policy))

    def close(self) -> None:
        """End it; what waits for it fails."""
        with self._lock:
            self._is_ready = False
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _send(self, number: int, future: Future[Rewrite], message: tuple[Any, ...]) -> None:
        with self._lock:
            if self._process is None or self._process.stdin is None:
                raise EngineProcessError("the engine's process has ended")
            self._waiting[number] = future
            try:
                _write(self._process.stdin, message)
            except OSError:
                raise EngineProcessError("the engine's process has ended") from None

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Hand out what the process answers until it ends."""
        assert process.stdout is not None  # noqa: S101 - asked for
        with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):
            while True:
                number, answer = _read(process.stdout)
                if number is None:
                    self._is_ready = True
                elif (future := self._waiting.pop(number, None)) is not None:
                    _resolve(future, answer)
        with self._lock:
            if self._process is process:
                self._process, self._is_ready = None, False
            left, self._waiting = self._waiting, {}
        for future in left.values():
            _resolve(future, "the engine's process has ended")
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()


def _resolve(future: Future[Rewrite], answer: Rewrite | str) -> None:
    if isinstance(answer, Rewrite):
        future.set_result(answer)
    else:
        future.set_exception(EngineProcessError(answer))


def serve(memory_bytes: int) -> None:
    """What the process does until its standard input ends."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(_NICENESS)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    engine = Engine(memory_bytes)
    stops: dict[int, threading.Event] = {}
    writing = threading.Lock()

    def say(number: int | None, answer: Rewrite | str | None) -> None:
        with writing, contextlib.suppress(OSError):
            _write(answers, (number, answer))

    def work(number: int, body: bytes, wire_format: str, policy: Policy) -> None:
        stop = stops[number]
        try:
            rewrite = engine.rewrite(body, WireFormat(wire_format), lambda _: policy, lambda: not stop.is_set())
            say(number, replace(rewrite, body=b"") if rewrite.body is body else rewrite)
        except BaseException as error:  # noqa: BLE001 - native code panics outside Exception
            say(number, type(error).__name__)
        finally:
            del stops[number]

    tokens.warm_up()
    say(None, None)
    with ThreadPoolExecutor(_THREADS) as threads, contextlib.suppress(EOFError, OSError):
        while True:
            number, body, wire_format, policy = _read(requests)
            if body is not None:
                stops[number] = threading.Event()
                threads.submit(work, number, body, wire_format, policy)
            elif number in stops:
                stops[number].set()
    os._exit(0)  # nobody waits for what is not done


def _write(pipe: IO[bytes], message: tuple[Any, ...]) -> None:
    frame = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    pipe.write(len(frame).to_bytes(_LENGTH))
    pipe.write(frame)
    pipe.flush()


def _read(pipe: IO[bytes]) -> tuple[Any, ...]:
    """The next message. Raises EOFError."""
    length = pipe.read(_LENGTH)
    frame = pipe.read(int.from_bytes(length)) if len(length) == _LENGTH else b""
    message: tuple[Any, ...] = pickle.loads(frame)  # noqa: S301 - from ourselves; EOFError where there is none
    return message
