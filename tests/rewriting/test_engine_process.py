from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compression_engine import Engine, Outcome, Place, Policy, Rewrite, WireFormat
from rewriting import engine_process
from rewriting.engine_process import EngineProcess, EngineProcessError, _Sign
from rewriting.engine_worker import HEAVY_BYTES, QUICK_BYTES, EngineFailure, EngineWorker
from tests.compression_engine.bodies import READ, body, numbered, source_lines, turns
from tests.e2e.mitmdump import Mitmdump, wait_for
from tests.rewriting.test_engine_worker import LONG, Decider

FORMAT = WireFormat.ANTHROPIC_MESSAGES
SMALL = turns(*((READ, {"file_path": f"{name}.py"}, numbered(source_lines(60))) for name in "aab"))
LARGE = turns(*((READ, {"file_path": f"{at}.py"}, numbered(source_lines(600, f"v{at}"))) for at in range(6)))


@pytest.fixture(autouse=True)
def _one_that_is_held_up_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may let the process wait for longer than a proxy does."""
    monkeypatch.setattr(engine_process, "_HANGS_SECONDS", LONG)
    monkeypatch.setattr(engine_process, "_LONGEST_SECONDS", LONG)


@pytest.fixture(scope="module")
def process() -> Iterator[EngineProcess]:
    running = started()
    yield running
    running.close()


def started(hands_over_to: Engine | None = None) -> EngineProcess:
    process = EngineProcess(64 * 1024 * 1024, (hands_over_to or Engine()).adopt)
    process.start()
    assert wait_for(lambda: process.is_ready, LONG)
    return process


def stopped(process: EngineProcess) -> int:
    """Its number; it takes nothing out of its pipe any more."""
    assert process._running
    pid = process._running.process.pid
    os.kill(pid, signal.SIGSTOP)
    return pid


def yes() -> bool:
    return True


@pytest.mark.slow
@pytest.mark.parametrize("policy", [Policy(), Policy(raw=((0, 3),)), Policy(aside=(Place(2, 0),))])
async def test_it_is_an_engine_like_any_other(process: EngineProcess, policy: Policy) -> None:
    raw = body(SMALL)
    assert await process.rewrite(raw, FORMAT, policy, yes) == Engine().rewrite(raw, FORMAT, lambda _: policy)


@pytest.mark.slow
async def test_what_stays_as_it_is_is_the_very_same_body(process: EngineProcess) -> None:
    raw = body(turns())
    assert (await process.rewrite(raw, FORMAT, Policy(), yes)).body is raw
    assert (await process.rewrite(b"{}", FORMAT, Policy(), yes)).outcome is Outcome.NOT_UNDERSTOOD


WORKS_UNTIL_TOLD = """
import sys, time
sys.path.insert(0, sys.argv[1])
from compression_engine import Outcome, Rewrite
from rewriting import engine_process
class Engine:
    def __init__(self, memory_bytes): pass
    def read(self, body, wire_format): return body
    def write(self, body, policy, goes_on):
        while body == b"long" and goes_on(): time.sleep(0.001)
        return Rewrite(body, Outcome.STOPPED)
engine_process.Engine = Engine
engine_process.serve(1)
"""


@pytest.mark.slow
async def test_it_stops_where_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_process, "_PROGRAM", WORKS_UNTIL_TOLD)
    process = started()
    for _ in range(engine_process._THREADS):
        told = await process.rewrite(b"long", FORMAT, Policy(), lambda: False)
        assert told.outcome is Outcome.STOPPED
    done = process.rewrite(b"short", FORMAT, Policy(), yes)
    assert (await asyncio.wait_for(done, LONG)).body == b"short", "there is a thread for it"
    process.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
async def test_when_it_is_killed_who_waits_is_told_and_it_starts_anew() -> None:
    process = started()
    pid = stopped(process)

    def kill() -> bool:
        os.kill(pid, signal.SIGKILL)
        return True

    with pytest.raises(EngineProcessError, match="has ended"):
        await process.rewrite(body(SMALL), FORMAT, Policy(), kill)
    assert not process.is_ready
    with pytest.raises(EngineProcessError, match="has ended"):
        process.learn(body(SMALL), FORMAT, Policy())
    process.start()
    assert wait_for(lambda: process.is_ready, LONG)
    assert (await process.rewrite(body(SMALL), FORMAT, Policy(), yes)).outcome is Outcome.REWRITTEN
    process.close()
    assert not process.is_ready


@pytest.mark.slow
async def test_much_work_is_done_in_the_process_and_comes_out_the_same() -> None:
    process = started()
    worker = EngineWorker(Engine(), LONG, LONG, process=process)  # to which nothing is handed over
    bodies = [body(LARGE), body([*LARGE, *SMALL[1:3]]), body(SMALL)]
    assert len(bodies[0]) > HEAVY_BYTES
    try:
        results = [await worker.rewrite(raw, FORMAT, Decider()) for raw in bodies]
    finally:
        worker.close()
    assert results == [Engine().rewrite(raw, FORMAT) for raw in bodies]
    prompt = worker._engine.read(bodies[1], FORMAT)
    assert worker._engine.new_bytes(prompt, Policy()) > HEAVY_BYTES, "the conversation stays there"
    assert not worker._engine.new_bytes(worker._engine.read(bodies[2], FORMAT), Policy())


@pytest.mark.slow
@pytest.mark.parametrize("policy", [Policy(), Policy(raw=((0, len(LARGE)),))], ids=["rewritten", "learned"])
async def test_the_next_turns_are_done_in_the_proxy(policy: Policy) -> None:
    engine = Engine()
    process = started(engine)
    worker = EngineWorker(engine, LONG, LONG, process=process)
    begun = [*LARGE, {"role": "assistant", "content": "Done."}, {"role": "user", "content": "Go on."}]
    decide = Decider(policy=policy)
    try:
        rewrite = await worker.rewrite(body(begun), FORMAT, decide)
        prompt = engine.read(body(begun), FORMAT)
        assert prompt.first, "nor is the body read again"
        assert await asyncio.to_thread(wait_for, lambda: not engine.new_bytes(prompt, policy), LONG)
        assert isinstance(rewrite, Rewrite)
        assert all(change.is_counted for change in rewrite.changes), "nor are the tokens counted again"
        raw = body([*begun, *SMALL[1:3]])
        quick = engine.rewrite_if_quick(raw, FORMAT, decide, lambda _: True, QUICK_BYTES)
    finally:
        worker.close()
    assert quick == Engine().rewrite(raw, FORMAT, lambda _: policy)


@pytest.mark.slow
async def test_for_what_goes_out_as_it_is_nobody_waits() -> None:
    """It is learned all the same: the next request is written shorter by what was said before."""
    process = started()
    worker = EngineWorker(Engine(), LONG, LONG, process=process)
    raw_so_far = Policy(raw=((0, len(LARGE)),))
    asked = [*LARGE, {"role": "assistant", "content": "Done."}, {"role": "user", "content": "Go on."}]
    again = turns((READ, {"file_path": "0.py"}, numbered(source_lines(600, "v0"))))[1:]
    decide = Decider(policy=raw_so_far)
    try:
        first = await worker.rewrite(body(asked), FORMAT, decide)
        second = await worker.rewrite(body([*asked, *again]), FORMAT, decide)
    finally:
        worker.close()
    assert not isinstance(first, EngineFailure)
    assert (first.outcome, first.counts.results) == (Outcome.NOTHING_TO_DO, 0)
    assert second == Engine().rewrite(body([*asked, *again]), FORMAT, lambda _: raw_so_far)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
async def test_where_it_is_killed_at_work_the_work_is_done_here() -> None:
    """What went out rewritten goes out so again: the client's own bytes would break the prompt cache."""
    process = started()
    worker = EngineWorker(Engine(), 0.2, LONG, process)
    pid = stopped(process)
    decide = Decider(raw=False)
    try:
        task = asyncio.create_task(worker.rewrite(body(LARGE), FORMAT, decide))
        assert await asyncio.to_thread(wait_for, lambda: process._running and process._running.waiting, LONG)
        os.kill(pid, signal.SIGKILL)
        assert await task == Engine().rewrite(body(LARGE), FORMAT)
    finally:
        worker.close()
    assert not decide.noted


@pytest.mark.slow
async def test_without_it_the_work_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/there/is/no/such/program")
    worker = EngineWorker(Engine(), LONG, LONG, process=EngineProcess(1024))
    try:
        result = await worker.rewrite(body(LARGE), FORMAT, Decider())
    finally:
        worker.close()
    assert result == Engine().rewrite(body(LARGE), FORMAT)


WORKS_FOR_EVER = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from rewriting import engine_process
class Engine:
    def __init__(self, memory_bytes): pass
    def read(self, *args): threading.Event().wait()
engine_process.Engine = Engine
engine_process.serve(1)
"""


@pytest.mark.slow
def test_it_ends_with_the_proxy_whatever_it_is_at() -> None:
    """A proxy that is killed closes nothing by itself; its end of the pipe goes with it."""
    addons = str(Path(engine_process.__file__).parent.parent)
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", WORKS_FOR_EVER, addons], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdin
        assert process.stdout
        assert engine_process._read(process.stdout) == (-1, _Sign.READY)
        engine_process._write(process.stdin, (0, b"{}", FORMAT.value, Policy()))
        assert [engine_process._read(process.stdout) for _ in range(2)] == [(0, _Sign.ARRIVED), (0, _Sign.BEGUN)]
        process.stdin.close()
        assert process.wait(LONG) == 0
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
async def test_a_process_that_takes_nothing_holds_up_nobody_who_ends_it() -> None:
    process = started()
    stopped(process)
    large = b" " * 1_000_000  # more than a pipe holds
    asks = asyncio.create_task(process.rewrite(large, FORMAT, Policy(), yes))
    assert await asyncio.to_thread(wait_for, lambda: process._running and process._running.waiting, LONG)
    await asyncio.wait_for(asyncio.to_thread(process.close), LONG)
    with pytest.raises(EngineProcessError, match="has ended"):
        await asyncio.wait_for(asks, LONG)
    process.start()
    assert not process.is_ready
    assert process._running is not None
    assert process._running.has_ended, "closed is closed"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
async def test_where_it_hangs_the_work_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_process, "_HANGS_SECONDS", 0.3)
    process = started()
    worker = EngineWorker(Engine(), 0.2, LONG, process)
    stopped(process)
    decide = Decider(raw=False)
    try:
        assert await worker.rewrite(body(LARGE), FORMAT, decide) == Engine().rewrite(body(LARGE), FORMAT)
    finally:
        worker.close()
    assert not decide.noted


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
def test_what_has_much_to_read_does_not_hang_as_long_as_something_arrives() -> None:
    process = started()
    stopped(process)
    running = process._running
    assert running
    number, _ = running.give(body(SMALL), FORMAT, Policy())
    running._work[number].asked_at -= 600
    running._heard_at = running._work[number].asked_at + 600
    running.end_if_it_hangs()
    assert not running.has_ended
    running._heard_at -= 600
    with pytest.raises(EngineProcessError, match="has ended"):
        process.learn(body(SMALL), FORMAT, Policy())
    assert running.has_ended
    process.close()


@pytest.mark.slow
async def test_only_what_has_begun_can_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for its turn waits as long as others have theirs: after a restart there is much to do at once."""
    monkeypatch.setattr(engine_process, "_LONGEST_SECONDS", 0.0)
    monkeypatch.setattr(engine_process, "_PROGRAM", WORKS_FOR_EVER)
    process = started()
    running = process._running
    assert running
    running._work[7] = engine_process._Work(time.monotonic() - 600, has_arrived=True)
    running.end_if_it_hangs()
    assert not running.has_ended
    with pytest.raises(EngineProcessError, match="hangs"):
        await process.rewrite(body(SMALL), FORMAT, Policy(), yes)
    process.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
async def test_who_need_not_wait_does_not_and_leaves_nothing_behind() -> None:
    process = started()
    stopped(process)
    assert (await process.rewrite(body(SMALL), FORMAT, Policy(), lambda: False)).outcome is Outcome.STOPPED
    assert process._running
    assert not process._running.waiting
    for _ in range(2 * engine_process._MOST_LEARNED):
        process.learn(body(SMALL), FORMAT, Policy())
    assert process._running.waiting == engine_process._MOST_LEARNED
    process.close()
    assert not process._running.waiting


@pytest.mark.slow
def test_what_cannot_be_read_is_its_end() -> None:
    """As where the program was replaced under a proxy that runs."""
    process = started()
    assert process._running
    process._running._to_write.put(("no", "message"))
    assert wait_for(lambda: process._running and process._running.has_ended, LONG)
    process.close()


@pytest.mark.slow
@pytest.mark.parametrize(("steady", "starts"), [(600.0, 3), (-1.0, 5)])
def test_what_ends_again_and_again_is_not_started_for_ever(
    steady: float, starts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But one that is killed once a week is."""
    monkeypatch.setattr(engine_process, "_STEADY_SECONDS", steady)
    monkeypatch.setattr(engine_process, "_PROGRAM", "")
    process = EngineProcess(1024)
    seen = []
    for _ in range(5):
        process.start()
        assert wait_for(lambda: process._running and process._running.has_ended, LONG)
        if process._running not in seen:
            seen.append(process._running)
    process.close()
    assert len(seen) == starts


def _stat(pid: int) -> list[str]:
    """State, parent and more of a process; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _children(pid: int) -> list[int]:
    others = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [other for other in others if _stat(other)[1:2] == [str(pid)]]


@pytest.mark.e2e
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_mitmdump(how: signal.Signals, tmp_path: Path) -> None:
    with Mitmdump(tmp_path) as proxy:
        assert wait_for(lambda: _children(proxy.pid), LONG)
        children = _children(proxy.pid)
        os.kill(proxy.pid, how)
        assert wait_for(lambda: all(_stat(child)[:1] in ([], ["Z"]) for child in children), LONG)
