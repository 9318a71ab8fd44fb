from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import platformdirs
import pytest
from mitmproxy.addonmanager import Loader
from mitmproxy.exceptions import OptionsError
from mitmproxy.test import taddons

from foundry_options import OPTION_NAMES, Mode, Settings, declare, read_settings, unknown_names


class _Declares:
    def load(self, loader: Loader) -> None:
        declare(loader)


@pytest.fixture
def context() -> Iterator[taddons.context]:
    with taddons.context(_Declares()) as tctx:
        yield tctx


def _read(context: taddons.context, environment: dict[str, str] | None = None, **given: str) -> Settings:
    context.options.update(**given)
    return read_settings(context.options, environment or {})


def test_the_defaults(context: taddons.context) -> None:
    assert _read(context) == Settings(
        Mode.BALANCED, (), 256 * 1024 * 1024, None, platformdirs.user_state_path("foundry-compress"), 20_000, 60
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


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("foundry_mode", "Lossless", "'Lossless' is not possible; allowed are off, observe, lossless, balanced"),
        ("foundry_memory_mb", "0", "a whole number from 1 to 65536"),
        ("foundry_memory_mb", "65537", "a whole number from 1 to 65536"),
        ("foundry_memory_mb", "-1", "a whole number from 1 to 65536"),
        ("foundry_memory_mb", "1_0", "a whole number from 1 to 65536"),
        ("foundry_memory_mb", "\u0661", "a whole number from 1 to 65536"),
        ("foundry_memory_mb", "", "a whole number from 1 to 65536"),
        ("foundry_cache_ttl", "2h", "allowed are auto, 5m, 1h, a number of seconds"),
        ("foundry_cache_ttl", "-3", "allowed are auto, 5m, 1h, a number of seconds"),
        ("foundry_recent_tokens", "many", "a whole number from 0 to 10000000"),
        ("foundry_least_tokens", "1.5", "a whole number from 0 to 10000000"),
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
        _read(context, {}, **{name: value})
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
        tctx.master.addons.add(_Declares())
        assert getattr(tctx.options, name) == settled


def test_names_that_look_like_ours_and_are_not(context: taddons.context) -> None:
    context.options.deferred.update({"foundry_mod": "off", "foundry-mode": "off", "FOUNDRY_MODE": "off", "other": "x"})
    assert unknown_names(context.options) == ["FOUNDRY_MODE", "foundry-mode", "foundry_mod"]
