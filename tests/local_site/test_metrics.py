from __future__ import annotations

import pytest

pytest.importorskip("prometheus_client", reason="prometheus_client is not installed")

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from billing.cache_health import Cause
from billing.entry import Ending
from tests.local_site.accounts import MadeUpModel, account, ask

HOSTILE = 'a"b\\c\nd{e="f"}\ud800'


def _samples(model: MadeUpModel, **headers: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    response = ask(model, "/metrics", **headers)
    assert response.status_code == 200
    text = (response.content or b"").decode()
    parse = parse_openmetrics if "openmetrics" in response.headers["content-type"] else text_string_to_metric_families
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(text)
        for sample in family.samples
    }


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/openmetrics-text; version=1.0.0", "text/plain;version=1.0.0"]
)
def test_the_sums(accept: str) -> None:
    model = MadeUpModel(
        account(Cause.HIT),
        account(Cause.OURS, lost=7, added_ms=70.0),
        account(outcome="failed", status=500, usage=None, ending=Ending.REFUSED),
        ledger_lost=4,
    )
    samples = _samples(model, Accept=accept)
    deployment = ("deployment", "claude-opus-4-6")
    for name, labels, value in (
        ("foundry_mode_info", (("mode", "balanced"),), 1),
        ("foundry_compress_info", (("version", "1.2.3"),), 1),
        ("foundry_requests_total", (("outcome", "rewritten"),), 2),
        ("foundry_requests_total", (("outcome", "failed"),), 1),
        ("foundry_endings_total", (("ending", "refused"),), 1),
        ("foundry_tokens_before_total", (), 8_000),
        ("foundry_tokens_after_total", (), 3_000),
        ("foundry_tokens_removed", (), 5_000),
        ("foundry_billed_tokens_total", (deployment, ("kind", "cache_read")), 18_000),
        ("foundry_billed_tokens_total", (deployment, ("kind", "output")), 600),
        ("foundry_units_paid_total", (), 8_000),
        ("foundry_units_without_total", (), 11_000),
        ("foundry_units_saved", (), 3_000),
        ("foundry_money_paid_total", (("currency", "USD"),), 0.04),
        ("foundry_added_seconds_bucket", (("le", "0.005"),), 2),
        ("foundry_added_seconds_bucket", (("le", "0.1"),), 3),
        ("foundry_added_seconds_bucket", (("le", "+Inf"),), 3),
        ("foundry_added_seconds_count", (), 3),
        ("foundry_added_seconds_sum", (), 0.077),
        ("foundry_cache_hits_total", (), 1),
        ("foundry_cache_misses_total", (("cause", "ours"),), 1),
        ("foundry_cache_lost_tokens_total", (("cause", "ours"),), 7),
        ("foundry_ledger_lost_total", (), 4),
    ):
        assert samples[name, labels] == pytest.approx(value), name
    assert samples["foundry_since_seconds", ()] > 1.7e9


def test_before_the_first_request() -> None:
    samples = _samples(MadeUpModel())
    assert samples["foundry_units_paid_total", ()] == 0
    assert samples["foundry_added_seconds_count", ()] == 0


def test_names_that_clients_made_up() -> None:
    samples = _samples(MadeUpModel(account(deployment=HOSTILE)))
    names = {dict(labels).get("deployment") for _, labels in samples} - {None}
    assert names == {HOSTILE.replace("\ud800", "?")}


def test_what_only_grows_is_a_counter() -> None:
    model = MadeUpModel(account())
    before = _samples(model)
    model.live.add(account(deployment="another", outcome="failed", usage=None))
    after = _samples(model)
    for key, value in before.items():
        if key[0].endswith(("_total", "_bucket", "_count")):
            assert after[key] >= value
