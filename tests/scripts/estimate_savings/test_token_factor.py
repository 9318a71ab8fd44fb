from __future__ import annotations

import pytest

from estimate_savings.bill import Usage
from estimate_savings.contexts import Part, Request, Step
from estimate_savings.token_factor import UNMEASURED, TokenFactors

THOUSAND = Part("user", [{"type": "text", "text": " word" * 1000}])


def step(total: int | None, *parts: Part, model: str = "m", adds_unknown: bool = False) -> Step:
    usage = None if total is None else Usage(read=total)
    return Step(Request("r", model, usage), list(parts), adds_unknown)


def observed(*grown: int) -> TokenFactors:
    factors = TokenFactors()
    for growth in grown:
        factors.observe(step(5000), step(5000 + growth, THOUSAND))
    return factors


def test_the_factor_is_the_median_of_the_samples() -> None:
    assert THOUSAND.tokens == 1000
    factor = observed(1500, 1300, 1400, 2300, 1390).factor("m")
    assert factor.value == pytest.approx(1.4)
    assert factor.samples == 5


def test_what_is_implausible_is_no_sample() -> None:
    factor = observed(1300, 1300, 1300, 90_000, -3000, 0, 600).factor("m")
    assert factor.value == pytest.approx(1.3)
    assert factor.samples == 3


def test_with_too_few_samples_it_is_assumed() -> None:
    assert observed(1500, 1500).factor("m") == (UNMEASURED, 0)
    assert observed().factor("another model") == (UNMEASURED, 0)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (step(None), step(6500, THOUSAND)),
        (step(5000), step(None, THOUSAND)),
        (step(5000, model="another"), step(6500, THOUSAND)),
        (step(5000), step(6500, THOUSAND, adds_unknown=True)),
        (step(5000), step(6500, THOUSAND, Part("user", [{"type": "image"}]))),
        (step(5000), step(5100, Part("user", [{"type": "text", "text": " word" * 90}]))),
    ],
)
def test_pairs_that_show_nothing(before: Step, after: Step) -> None:
    factors = TokenFactors()
    for _ in range(50):
        factors.observe(before, after)
    assert factors.factor("m").samples == 0
