from __future__ import annotations

from pathlib import Path
from typing import Any

import platformdirs
import pytest
from mitmproxy.exceptions import OptionsError
from mitmproxy.test import taddons

from configuring.company_policy import CompanyPolicy
from configuring.foundry_options import OPTION_NAMES, Settings, read_settings, unknown_names
from configuring.possible_values import Mode
from tests.configuring.conftest import Declares


def _read(
    context: taddons.context,
    environment: dict[str, str] | None = None,
    policy: CompanyPolicy | None = None,
    **given: Any,
) -> Settings:
    context.options.update(**given)
    return read_settings(context.options, environment or {}, policy)


def test_the_defaults(context: taddons.context) -> None:
    assert _read(context) == Settings(
        mode=Mode.BALANCED,
        extra_hosts=(),
        memory_bytes=120 * 1024 * 1024,
        cache_lifetime=None,
        state_dir=platformdirs.user_state_path("foundry-compress"),
        recent=20_000,
        least=60,
        holdout=0.0,
        keep_days=90,
        keep_mb=256,
    )


def test_every_option_is_a_string_that_set_can_fill(context: taddons.context) -> None:
    assert context.options.keys() >= OPTION_NAMES
    assert {type(getattr(context.options, name)) for name in OPTION_NAMES} == {str}


@pytest.mark.parametrize("mode", list(Mode))
def test_modes(mode: Mode, context: taddons.context) -> None:
    assert _read(context, foundry_mode=mode.value).mode is mode


@pytest.mark.parametrize(("given", "seconds"), [("auto", None), ("5m", 300), ("1h", 3600), ("3", 3), ("3.5", 3.5)])
def test_lifetimes_of_the_prompt_cache(given: str, seconds: float | None, context: taddons.context) -> None:
    assert _read(context, foundry_cache_ttl=given).cache_lifetime == seconds


@pytest.mark.parametrize(
    ("given", "share"), [("0", 0.0), ("10", 0.1), ("12.5", 0.125), ("0.0001", 0.000001), ("100", 1.0), ("100.0", 1.0)]
)
def test_percentages(given: str, share: float, context: taddons.context) -> None:
    assert _read(context, foundry_holdout=given).holdout == pytest.approx(share, abs=1e-12)


def test_bounds_of_the_ledger(context: taddons.context) -> None:
    settings = _read(context, foundry_keep_days="1", foundry_keep_mb="65536")
    assert (settings.keep_days, settings.keep_mb) == (1, 65_536)


def test_the_state_directory_is_absolute(context: taddons.context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert str(_read(context, foundry_state_dir="~/kept").state_dir) == "/home/ann/kept"
    assert _read(context, foundry_state_dir="kept").state_dir.is_absolute()


def test_extra_hosts_are_names_or_urls_from_the_option_and_the_environment(context: taddons.context) -> None:
    settings = _read(
        context,
        {"ANTHROPIC_FOUNDRY_BASE_URL": " https://Gate.Example:8443/team/anthropic/ "},
        foundry_extra_hosts="B.example, https://a.example/x c.example.:443,,",
    )
    assert settings.extra_hosts == ("a.example", "b.example", "c.example", "gate.example")


def test_hosts_that_are_foundrys_anyway_are_no_extra_hosts(context: taddons.context) -> None:
    environment = {"ANTHROPIC_FOUNDRY_BASE_URL": "https://r.services.ai.azure.com/anthropic"}
    assert _read(context, environment, foundry_extra_hosts="r.openai.azure.us").extra_hosts == ()


def test_providers_beside_foundry(context: taddons.context) -> None:
    assert _read(context).providers == ()
    settings = _read(
        context, foundry_providers="Vertex:US-east5, bedrock  anthropic,bedrock", foundry_extra_hosts="a.b"
    )
    assert settings.providers == ("anthropic", "bedrock", "vertex:us-east5")
    assert settings.scope.includes("us-east5-aiplatform.googleapis.com")
    assert settings.scope.includes("a.b")
    assert not settings.scope.includes("us-east4-aiplatform.googleapis.com")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("foundry_providers", "azure", "'azure' is not possible; allowed are vertex, bedrock and anthropic"),
        ("foundry_providers", "bedrock,vertex:*", "'vertex:*' is not possible"),
        ("foundry_mode", "Lossless", "'Lossless' is not possible; allowed are off, observe, lossless, balanced"),
        ("foundry_memory_mb", "0", "a whole number from 1 to 65536"),
        ("foundry_memory_mb", "65537", "a whole number from 1 to 65536"),
        ("foundry_memory_mb", "-1", "a whole number from 1 to 65536"),
        ("foundry_memory_mb", "1_0", "a whole number from 1 to 65536"),
        ("foundry_memory_mb", "\u0661", "a whole number from 1 to 65536"),
        ("foundry_memory_mb", "", "a whole number from 1 to 65536"),
        ("foundry_work_mb", "0", "a whole number from 1 to 1024"),
        ("foundry_budget_ms", "9", "a whole number from 10 to 20000"),
        ("foundry_budget_ms", "2s", "a whole number from 10 to 20000"),
        ("foundry_cache_ttl", "2h", "allowed are auto, 5m, 1h, a number of seconds"),
        ("foundry_cache_ttl", "-3", "allowed are auto, 5m, 1h, a number of seconds"),
        ("foundry_recent_tokens", "many", "a whole number from 0 to 10000000"),
        ("foundry_least_tokens", "1.5", "a whole number from 0 to 10000000"),
        *(
            ("foundry_holdout", value, "allowed is a percentage from 0 to 100")
            for value in ("", "-1", "100.1", "101", "5%", "1e1", "0,5", ".5", "5.", "0.12345", "nan", "\u0661")
        ),
        ("foundry_keep_days", "0", "a whole number from 1 to 3650"),
        ("foundry_keep_days", "3651", "a whole number from 1 to 3650"),
        ("foundry_keep_mb", "0", "a whole number from 1 to 65536"),
        ("foundry_keep_mb", "1.5", "a whole number from 1 to 65536"),
        ("foundry_extra_hosts", "*.example", "without wildcards"),
        ("foundry_extra_hosts", "a.example,10.0.0.4", "'10.0.0.4' is not possible"),
        ("foundry_extra_hosts", "[::1]:443", "'[::1]:443' is not possible"),
        ("foundry_extra_hosts", "https://[bad", "is not possible"),
        ("foundry_extra_hosts", "https://", "is not possible"),
        ("foundry_extra_hosts", "a..example", "is not possible"),
    ],
)
def test_bad_values_are_named_with_what_is_allowed(
    name: str, value: str, expected: str, context: taddons.context
) -> None:
    with pytest.raises(OptionsError) as caught:
        _read(context, {}, None, **{name: value})
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert expected in message


def test_a_bad_base_url_is_named(context: taddons.context) -> None:
    with pytest.raises(OptionsError, match=r"^ANTHROPIC_FOUNDRY_BASE_URL: 'http://127\.0\.0\.1:4000' is not possible"):
        _read(context, {"ANTHROPIC_FOUNDRY_BASE_URL": "http://127.0.0.1:4000"})


def test_messages_stay_one_short_line(context: taddons.context) -> None:
    with pytest.raises(OptionsError) as caught:
        _read(context, foundry_mode="a\nb\x1b[31m" + "c" * 1000)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


class _Wrapped:
    """What mitmproxy makes of --set for an option that it does not know yet."""

    def __init__(self, *values: str) -> None:
        self.val = list(values)


@pytest.mark.parametrize(
    ("name", "given", "settled"),
    [
        ("foundry_mode", _Wrapped(), ""),
        ("foundry_mode", _Wrapped("off"), "off"),
        ("foundry_mode", _Wrapped("off", "observe"), "off,observe"),
        ("foundry_memory_mb", 64, "64"),
        ("foundry_extra_hosts", ["a.example", "b.example"], "a.example,b.example"),
        ("foundry_extra_hosts", _Wrapped("a.example", "b.example"), "a.example,b.example"),
    ],
)
def test_whatever_was_given_before_arrives_as_a_string(name: str, given: Any, settled: str) -> None:
    with taddons.context() as tctx:
        tctx.options.deferred[name] = given
        tctx.master.addons.add(Declares())
        assert getattr(tctx.options, name) == settled


def test_names_that_look_like_ours_and_are_not(context: taddons.context) -> None:
    context.options.deferred.update({"foundry_mod": "off", "foundry-mode": "off", "FOUNDRY_MODE": "off", "other": "x"})
    assert unknown_names(context.options) == ["FOUNDRY_MODE", "foundry-mode", "foundry_mod"]


# A company's policy


def _policy(**said: Any) -> CompanyPolicy:
    return CompanyPolicy(Path("/etc/policy.toml"), is_locked=True, **said)


STRICT = _policy(
    modes=frozenset({"off", "observe", "lossless"}),
    mode="observe",
    extra_hosts=("gate.example",),
    may_add_hosts=False,
    keep_days=30,
    keep_mb=100,
    holdout=0.1,
)


def test_what_nobody_gave_follows_the_policy(context: taddons.context) -> None:
    settings = _read(context, policy=STRICT)
    assert settings.mode is Mode.OBSERVE
    assert settings.extra_hosts == ("gate.example",)
    assert (settings.keep_days, settings.keep_mb, settings.holdout) == (30, 100, 0.1)


def test_a_policy_that_says_nothing_changes_nothing(context: taddons.context) -> None:
    assert _read(context, policy=_policy()) == _read(context)


def test_a_bound_above_the_default_changes_nothing(context: taddons.context) -> None:
    settings = _read(context, policy=_policy(keep_days=1000, keep_mb=1000))
    assert (settings.keep_days, settings.keep_mb) == (90, 256)
    settings = _read(context, policy=_policy(keep_days=1000), foundry_keep_days="1000", foundry_keep_mb="300")
    assert (settings.keep_days, settings.keep_mb) == (1000, 300)


def test_what_was_given_within_the_policy_stands(context: taddons.context) -> None:
    settings = _read(
        context,
        {"ANTHROPIC_FOUNDRY_BASE_URL": "https://gate.example/team"},
        STRICT,
        foundry_mode="off",
        foundry_extra_hosts="GATE.example, r.services.ai.azure.com",
        foundry_keep_days="30",
        foundry_keep_mb="1",
        foundry_holdout="10.0",
    )
    assert settings.mode is Mode.OFF
    assert settings.extra_hosts == ("gate.example",)
    assert (settings.keep_days, settings.keep_mb, settings.holdout) == (30, 1, 0.1)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("foundry_mode", "balanced", "one of off, observe, lossless"),  # even though it is the default
        ("foundry_extra_hosts", "other.example", "no host but Foundry's own, gate.example"),
        ("foundry_providers", "bedrock:us-east-1", "none"),
        ("foundry_keep_days", "31", "at most 30"),
        ("foundry_keep_days", "90", "at most 30"),
        ("foundry_keep_mb", "101", "at most 100"),
        ("foundry_holdout", "0", "only 10"),
        ("foundry_holdout", "10.1", "only 10"),
    ],
)
def test_what_was_given_beyond_the_policy_is_refused_by_name(
    name: str, value: str, allowed: str, context: taddons.context
) -> None:
    with pytest.raises(OptionsError) as caught:
        _read(context, {}, STRICT, **{name: value})
    assert str(caught.value) == (
        f"{name}: '{value}' is beyond the company policy in /etc/policy.toml; allowed is {allowed}"
    )


def test_a_base_url_beyond_the_policy_is_refused_by_name(context: taddons.context) -> None:
    with pytest.raises(OptionsError, match=r"^ANTHROPIC_FOUNDRY_BASE_URL: 'other\.example' is beyond"):
        _read(context, {"ANTHROPIC_FOUNDRY_BASE_URL": "https://other.example/x"}, STRICT)


def test_users_may_add_hosts_where_the_policy_lets_them(context: taddons.context) -> None:
    policy = _policy(extra_hosts=("gate.example",))
    assert _read(context, policy=policy, foundry_extra_hosts="a.example").extra_hosts == ("a.example", "gate.example")


def test_with_a_broken_policy_nothing_is_done_whatever_was_given(context: taddons.context) -> None:
    policy = _policy(error="/etc/policy.toml: it is not UTF-8")
    assert _read(context, policy=policy).mode is Mode.OFF
    assert _read(context, policy=policy, foundry_mode="lossless").mode is Mode.OFF


def test_what_is_impossible_is_told_before_what_is_beyond_the_policy(context: taddons.context) -> None:
    with pytest.raises(OptionsError, match=r"^foundry_keep_days: '0' is not possible"):
        _read(context, policy=STRICT, foundry_keep_days="0", foundry_mode="balanced")


def test_work_and_budget(context: taddons.context) -> None:
    settings = _read(context, foundry_work_mb="3", foundry_budget_ms="250")
    assert (settings.work, settings.budget) == (3_000_000, 0.25)
