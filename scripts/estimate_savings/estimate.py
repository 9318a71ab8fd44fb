"""Adds up what was billed and what would not have been, over all transcripts.

A removed token saves its price in every request that would have carried it: the write price when it is first written,
the read price on each later hit, the write price again when the cache had expired. Those prices come from the usage of
each request, as `bill` tells. Counts of removed tokens are o200k_base; the factor that turns them into billed ones is
known only when everything has been read, so sums are kept by model until then.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from compression_engine import Engine
from estimate_savings.bill import Bill, Segment, place
from estimate_savings.contexts import Step, contexts
from estimate_savings.replay import Replay, Result
from estimate_savings.token_factor import Factor, TokenFactors
from estimate_savings.transcripts import Transcript, read

__all__ = ["Cell", "Estimate", "Results", "Saving", "Skipped"]

# Forks and rewinds share their beginnings; more need not be remembered.
_ENGINE_MEMORY_BYTES = 64 * 1024 * 1024
# The client's name for answers that it made itself.
_NO_MODEL = "<synthetic>"


class Cell(NamedTuple):
    """What a sum is about."""

    project: str
    session: str
    tool: str
    kind: str
    model: str


@dataclass(slots=True)
class Saving:
    """Removed tokens, counted once in each request that would have carried them, and what they cost, in units."""

    tokens: float = 0.0
    units: float = 0.0

    def add(self, tokens: float, units: float) -> None:
        """Add to both."""
        self.tokens += tokens
        self.units += units


@dataclass(slots=True)
class Results:
    """Tool results, each counted once; tokens are o200k_base."""

    count: int = 0
    rewritten: int = 0
    tokens_before: int = 0
    tokens_after: int = 0

    def add(self, more: Result | Results) -> None:
        """Count one more, or many."""
        self.count += more.count if isinstance(more, Results) else 1
        self.rewritten += more.rewritten if isinstance(more, Results) else bool(more.kind)
        self.tokens_before += more.tokens_before
        self.tokens_after += more.tokens_after


@dataclass(slots=True)
class Skipped:
    """What is not in the sums."""

    lines: int = 0
    requests: int = 0  # without usage
    files: dict[str, str] = field(default_factory=dict)  # that were not read to their end, and why
    problems: set[str] = field(default_factory=set)  # of the engine


class Estimate:
    """The sums so far. With `examples` it also keeps that many best and worst results."""

    def __init__(self, examples: int = 0) -> None:
        self.files = 0
        self.bills: defaultdict[tuple[str, str], Bill] = defaultdict(Bill)  # by project and session
        self.results: defaultdict[Cell, Results] = defaultdict(Results)
        self.skipped = Skipped()
        self._carried: defaultdict[Cell, Saving] = defaultdict(Saving)  # in o200k_base tokens
        self._factors = TokenFactors()
        self._engine = Engine(_ENGINE_MEMORY_BYTES)
        self._billed: set[str] = set()
        self._seen: set[str] = set()
        self._best = _Top(examples)
        self._worst = _Top(examples)

    def add_file(self, path: Path, advance: Callable[[float], None] = lambda _: None) -> None:
        """Add the transcript at `path`; `advance` hears which share of the work on it has been done, in steps."""
        try:
            transcript = read(path)
            found = list(contexts(transcript))
            advance(0.2)
            replay = Replay(self._engine)
            for steps in found:
                self._add_context(transcript, steps, replay)
                advance(0.8 / len(found))
        except Exception as error:  # noqa: BLE001 - one odd file must not cost the estimate of a thousand others
            self.skipped.files[str(path)] = f"{type(error).__name__}: {error}"
            return
        self.files += 1
        self.skipped.lines += transcript.unreadable

    @property
    def models(self) -> dict[str, Factor]:
        """The models that anything was removed for, with their factors."""
        return {model: self._factors.factor(model) for model in sorted({cell.model for cell in self._carried})}

    @property
    def bill(self) -> Bill:
        """All that was billed."""
        whole = Bill()
        for bill in self.bills.values():
            whole.merge(bill)
        return whole

    @property
    def carried(self) -> float:
        """The o200k_base tokens that would not have been sent, over all requests."""
        return sum(saving.tokens for saving in self._carried.values())

    def savings_by(self, key_of: Callable[[Cell], str]) -> dict[str, Saving]:
        """What would have been saved, in billed tokens, for each key."""
        factors = {model: factor.value for model, factor in self.models.items()}
        sums: defaultdict[str, Saving] = defaultdict(Saving)
        for cell, carried in self._carried.items():
            factor = factors[cell.model]
            sums[key_of(cell)].add(carried.tokens * factor, carried.units * factor)
        return sums

    def results_by(self, key_of: Callable[[Cell], str]) -> dict[str, Results]:
        """The tool results for each key."""
        sums: defaultdict[str, Results] = defaultdict(Results)
        for cell, results in self.results.items():
            sums[key_of(cell)].add(results)
        return sums

    def best(self) -> list[Result]:
        """The results that most tokens were removed from."""
        return self._best.results()

    def worst(self) -> list[Result]:
        """The rewritten results that the least share was removed from."""
        return self._worst.results()

    def _add_context(self, transcript: Transcript, steps: list[Step], replay: Replay) -> None:
        if all(step.request.id in self._billed for step in steps):
            return  # a copy
        context = _Context(transcript.project, transcript.session)
        for step, results in zip(steps, replay.results(steps), strict=True):
            for result in results:
                self._see(result, Cell(context.project, context.session, result.tool, result.kind, ""))
            context.send(step, results)
            if step.request.id not in self._billed:
                self._billed.add(step.request.id)
                self._charge(step, context)
            context.answered(step)
        self.skipped.problems |= replay.problems

    def _charge(self, step: Step, context: _Context) -> None:
        """Add the request of `step`, the latest in `context`."""
        usage = step.request.usage
        if usage is None:
            self.skipped.requests += step.request.model != _NO_MODEL
            return
        self.bills[context.project, context.session].add(usage)
        for segment, removed in zip(context.segments, context.removed, strict=True):
            if removed and segment.end > segment.start:
                price = usage.price_between(segment.start, segment.end)
                for (tool, kind), count in removed.items():
                    cell = Cell(context.project, context.session, tool, kind, step.request.model)
                    self._carried[cell].add(count, count * price)
        if context.before is not None:
            self._factors.observe(context.before, step)

    def _see(self, result: Result, cell: Cell) -> None:
        if result.id in self._seen:
            return
        self._seen.add(result.id)
        self.results[cell].add(result)
        if result.kind:
            self._best.offer((result.removed, 0), result)
            self._worst.offer((-result.removed / result.tokens_before, result.tokens_before), result)


class _Context:
    """A context as far as its requests have been sent: where their messages stand, and what was removed from them."""

    def __init__(self, project: str, session: str) -> None:
        self.project = project
        self.session = session
        self.segments: list[Segment] = []
        self.removed: list[Counter[tuple[str, str]]] = []  # from each segment, o200k_base tokens by tool and kind
        self.before: Step | None = None  # the last one that has a usage
        self._waiting = Counter[tuple[str, str]]()  # sent since then, without
        self._likely = 0

    def send(self, step: Step, results: list[Result]) -> None:
        """Take what is new in the request of `step`."""
        for result in results:
            if result.removed:
                self._waiting[result.tool, result.kind] += result.removed
        self._likely += sum(part.tokens for part in step.parts)
        if step.request.usage is not None:
            before = self.before.request.usage.total if self.before and self.before.request.usage else 0
            self.segments.append(place(self.segments, before, step.request.usage.total, self._likely))
            self.removed.append(self._waiting)
            self._waiting, self._likely = Counter(), 0

    def answered(self, step: Step) -> None:
        """The request of `step` is done with."""
        if step.request.usage is not None:
            self.before = step


class _Top:
    """The `size` results of the highest rank; of equals, those that came first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[tuple[tuple[float, float], int, Result]] = []
        self._order = itertools.count()

    def offer(self, rank: tuple[float, float], result: Result) -> None:
        if self._size:
            heapq.heappush(self._heap, (rank, -next(self._order), result))
            if len(self._heap) > self._size:
                heapq.heappop(self._heap)

    def results(self) -> list[Result]:
        return [result for *_, result in sorted(self._heap, key=lambda entry: entry[:2], reverse=True)]
