"""Adds up what was billed, over all transcripts, and what would not have been, under each of several terms."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compression_engine import Engine, tokens
from conversations import Terms
from estimate_savings.account import Account, Payer, Saving
from estimate_savings.bill import Bill
from estimate_savings.contexts import Step, contexts
from estimate_savings.layout import Layout
from estimate_savings.replay import NO_MODEL
from estimate_savings.token_factor import Factor, TokenFactors
from estimate_savings.transcripts import Transcript, read

__all__ = ["Estimate", "Skipped"]

# Forks and rewinds share their beginnings; more need not be remembered.
_ENGINE_MEMORY_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class Skipped:
    """What is not in the sums."""

    lines: int = 0
    requests: int = 0  # without usage
    files: dict[str, str] = field(default_factory=dict)  # that were not read to their end, and why


class Estimate:
    """The sums so far, and an account for each of `terms`; the first one also keeps so many `examples`."""

    def __init__(self, terms: Sequence[Terms], examples: int = 0) -> None:
        self.files = 0
        self.bills: defaultdict[Payer, Bill] = defaultdict(Bill)
        self.skipped = Skipped()
        self._factors = TokenFactors()
        engine = Engine(_ENGINE_MEMORY_BYTES)
        self.accounts = [Account(engine, one, 0 if number else examples) for number, one in enumerate(terms)]
        self._billed: set[str] = set()

    def add_file(self, path: Path, advance: Callable[[float], None] = lambda _: None) -> None:
        """Add the transcript at `path`; `advance` hears which share of the work on it has been done, in steps."""
        try:
            transcript = read(path)
            found = list(contexts(transcript))
            advance(0.1)
            count = functools.cache(tokens.count)
            for steps in found:
                self._add_context(transcript, steps, count, lambda share: advance(0.9 * share / len(found)))
        except Exception as error:  # noqa: BLE001 - one odd file must not cost the estimate of a thousand others
            self.skipped.files[str(path)] = f"{type(error).__name__}: {error}"
            return
        self.files += 1
        self.skipped.lines += transcript.unreadable

    @property
    def models(self) -> dict[str, Factor]:
        """The models that anything was removed for, with their factors."""
        models = {model for account in self.accounts for model in account.models}
        return {model: self._factors.factor(model) for model in sorted(models)}

    @property
    def factors(self) -> dict[str, float]:
        """The factors of `models` alone."""
        return {model: factor.value for model, factor in self.models.items()}

    @property
    def bill(self) -> Bill:
        """All that was billed."""
        whole = Bill()
        for bill in self.bills.values():
            whole.merge(bill)
        return whole

    def saved(self, account: Account) -> Saving:
        """What would have been saved, in billed tokens."""
        return account.saved(self.factors)

    def _add_context(
        self,
        transcript: Transcript,
        steps: list[Step],
        count: Callable[[str], int],
        advance: Callable[[float], None],
    ) -> None:
        if all(step.request.id in self._billed for step in steps):
            advance(1)
            return  # a copy
        payer = Payer(transcript.project, transcript.session)
        layout = Layout(steps)
        for account in self.accounts:
            account.begin(payer, steps, self._billed, count)
            advance(1 / len(self.accounts))
        for at, step in enumerate(steps):
            usage = layout.send(at)
            if step.request.id not in self._billed:
                self._billed.add(step.request.id)
                if usage is None:
                    self.skipped.requests += step.request.model != NO_MODEL
                else:
                    self.bills[payer].add(usage)
                    for account in self.accounts:
                        account.charge(payer, at, layout, usage)
                    if layout.before is not None:
                        self._factors.observe(layout.before, step)
            layout.answered(at)
