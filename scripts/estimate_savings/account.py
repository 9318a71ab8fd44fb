"""What the addon would have saved under one set of terms, added up.

A removed token saves its price in every request that would have carried it: the write price when it is first written,
the read price on each later hit, the write price again when the cache had expired. Those prices come from the usage of
each request, as `bill` tells. Counts of removed tokens are o200k_base; the factor that turns them into billed ones is
known only when everything has been read, so sums are kept by model until then.
"""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from compression_engine import SET_ASIDE, Engine
from conversations import Terms
from estimate_savings.bill import Usage
from estimate_savings.contexts import Step
from estimate_savings.edits import is_out_of_view, lines_to_edit
from estimate_savings.layout import Layout
from estimate_savings.replay import Replay, Result, View

__all__ = ["Account", "Cell", "Costs", "Payer", "Results", "Saving"]


class Payer(NamedTuple):
    """Whose requests they are."""

    project: str
    session: str


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

    def add(self, more: Results) -> None:
        """Count more of them."""
        self.count += more.count
        self.rewritten += more.rewritten
        self.tokens_before += more.tokens_before
        self.tokens_after += more.tokens_after


@dataclass(slots=True)
class Costs:
    """What setting aside costs, in units.

    `written_again`: where the service still had the cache though a pause said that it had not. `calls`: one more for
    each of `edits_out_of_view`, the requests whose answer edits text that would not have been in view; they are among
    `edits`, those that edit any text.
    """

    written_again: float = 0.0
    calls: float = 0.0
    edits: int = 0
    edits_out_of_view: int = 0

    def add(self, more: Costs) -> None:
        """Add to all."""
        self.written_again += more.written_again
        self.calls += more.calls
        self.edits += more.edits
        self.edits_out_of_view += more.edits_out_of_view


class Account:
    """The sums so far under `terms`. With `examples` it also keeps that many best and worst results."""

    def __init__(self, engine: Engine, terms: Terms, examples: int = 0) -> None:
        self.costs: defaultdict[Payer, Costs] = defaultdict(Costs)
        self._replay = Replay(engine, terms)
        self._carried: defaultdict[Cell, Saving] = defaultdict(Saving)  # in o200k_base tokens
        self._results: dict[str, tuple[Cell, Results]] = {}  # by id, as they were last sent
        self._views: list[View] = []
        self._best = _Top(examples)
        self._worst = _Top(examples)

    def begin(
        self, payer: Payer, steps: Sequence[Step], sent_before: Container[str], count: Callable[[str], int]
    ) -> None:
        """Take a context, of which requests in `sent_before` are not sent again. `count` counts tokens."""
        self._views = self._replay.views(steps, sent_before, count)[::-1]
        for view in reversed(self._views):
            for result in itertools.chain.from_iterable(view.results):
                self._see(result, Cell(*payer, result.tool, result.kind, ""))

    def charge(self, payer: Payer, at: int, layout: Layout, usage: Usage) -> None:
        """Add the request of step `at` of that context, which was billed `usage`."""
        costs = self.costs[payer]
        while len(self._views) > 1 and self._views[-2].first <= at:
            self._views.pop()
        view = self._views[-1]
        model = layout.steps[at].request.model
        billed = usage
        if view.first == at and view.changed is not None:
            billed = usage.written_from(layout.start_of(view.changed))
            costs.written_again += billed.units - usage.units
        for segment, steps in zip(layout.segments, layout.steps_of, strict=True):
            removed = [(key, count) for step in steps for key, count in view.removed[step].items()]
            if removed and segment.end > segment.start:
                price = billed.price_between(segment.start, segment.end)
                for (tool, kind), count in removed:
                    self._carried[Cell(*payer, tool, kind, model)].add(count, count * price)
        lines = lines_to_edit(layout.steps[at].answer)
        if lines:
            costs.edits += 1
            results = itertools.chain.from_iterable(view.results[: at + 1])
            if is_out_of_view(lines, results, layout.steps[: at + 1]):
                costs.edits_out_of_view += 1
                costs.calls += usage.units_of_one_more_call(len(layout.steps) - at - 1)

    @property
    def problems(self) -> set[str]:
        """Exceptions that kept the engine from rewriting a result, by name."""
        return self._replay.problems

    @property
    def models(self) -> set[str]:
        """The models that anything was removed for."""
        return {cell.model for cell in self._carried}

    @property
    def carried(self) -> float:
        """The o200k_base tokens that would not have been sent, over all requests."""
        return sum(saving.tokens for saving in self._carried.values())

    @property
    def all_costs(self) -> Costs:
        """What all payers' costs come to."""
        whole = Costs()
        for costs in self.costs.values():
            whole.add(costs)
        return whole

    def savings_by[Key](self, key_of: Callable[[Cell], Key], factors: Mapping[str, float]) -> dict[Key, Saving]:
        """What would have been saved, in billed tokens, for each key; `factors` are billed tokens a token, by model."""
        sums: defaultdict[Key, Saving] = defaultdict(Saving)
        for cell, carried in self._carried.items():
            factor = factors[cell.model]
            sums[key_of(cell)].add(carried.tokens * factor, carried.units * factor)
        return sums

    def saved(self, factors: Mapping[str, float]) -> Saving:
        """What would have been saved in all, less what was written again."""
        saving = self.savings_by(lambda _: "", factors).get("", Saving())
        return Saving(saving.tokens, saving.units - self.all_costs.written_again)

    def results_by[Key](self, key_of: Callable[[Cell], Key]) -> dict[Key, Results]:
        """The tool results for each key, as they were last sent."""
        sums: defaultdict[Key, Results] = defaultdict(Results)
        for cell, results in self._results.values():
            sums[key_of(cell)].add(results)
        return sums

    @property
    def set_aside(self) -> Results:
        """The results that a line stood for when they were last sent."""
        return self.results_by(lambda cell: cell.kind).get(SET_ASIDE, Results())

    def best(self) -> list[Result]:
        """The results that most tokens were removed from."""
        return self._best.results()

    def worst(self) -> list[Result]:
        """The rewritten results that the least share was removed from."""
        return self._worst.results()

    def _see(self, result: Result, cell: Cell) -> None:
        if result.kind and result.id not in self._results:
            self._best.offer((result.removed, 0), result)
            self._worst.offer((-result.removed / max(1, result.tokens_before), result.tokens_before), result)
        counts = Results(1, bool(result.kind), result.tokens_before, result.tokens_after)
        self._results[result.id] = (cell, counts)


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
