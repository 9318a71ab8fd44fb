"""The address of a Redis server: what is one, and what of it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.exceptions import OptionsError
from mitmproxy.test import taddons

from configuring.foundry_options import Settings, read_settings
from configuring.state_url import StateUrl, read_state_url
from conversations import redis_store

SECRET = "a-password-that-nobody-sees"


@pytest.mark.parametrize(
    ("given", "shown", "host", "port"),
    [
        ("redis://server", "redis://server:6379", "server", 6379),
        ("redis://server:7000/3", "redis://server:7000/3", "server", 7000),
        (f"redis://:{SECRET}@server/0", "redis://server:6379/0", "server", 6379),
        (f"rediss://me:{SECRET}@10.0.0.1:6380/0", "rediss://10.0.0.1:6380/0", "10.0.0.1", 6380),
        (f"rediss://me:{SECRET}@s:6380?ssl_ca_certs=/etc/ca.pem", "rediss://s:6380", "s", 6380),
        (f"redis://me:{SECRET}%40x@[::1]:1/0", "redis://[::1]:1/0", "::1", 1),
        ("unix:///run/redis.sock", "unix:///run/redis.sock", None, None),
        (f"unix://:{SECRET}@/run/redis.sock?db=2", "unix:///run/redis.sock", None, None),
        ("  redis://server\n", "redis://server:6379", "server", 6379),
    ],
)
def test_addresses(given: str, shown: str, host: str | None, port: int | None, tmp_path: Path) -> None:
    file = tmp_path / "address"
    file.write_text(f"{given}\n")
    for url in (read_state_url(given), read_state_url(f"@{file}")):
        assert url == StateUrl(given.strip(), shown, host, port)
        assert str(url) == shown
        assert SECRET not in f"{url} {url!r}"


@pytest.mark.parametrize("nothing", ["", "  "])
def test_nothing_given_is_no_server(nothing: str) -> None:
    assert read_state_url(nothing) is None


WRONG = [
    f"http://:{SECRET}@server",
    f"{SECRET}@server:6379",
    f"redis://:{SECRET}@",
    f"redis://:{SECRET}@server:port/0",
    f"redis://:{SECRET}@server:99999/0",
    f"redis://:{SECRET}@server/zero",
    f"redis://:{SECRET}@[::1/0",
    f"redis://server/0?password={SECRET}",
    f"redis://:{SECRET}@server/0?socket_timeout=0",
    f"rediss://:{SECRET}@server/0?ssl_cert_reqs=none",
    f"unix://:{SECRET}@",
    f"unix://server/run/{SECRET}",
    f"unix:///run/redis.sock?password={SECRET}",
    f"unix:///run/redis.sock?db={SECRET}",
    f"@redis://:{SECRET}@server",
]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_address_is_refused_and_not_shown(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"allowed are|@ stands before") as refused:
        read_state_url(wrong)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.text(max_size=40), st.sampled_from(["", "redis://", "rediss://u:", "unix://", "unix:///", "redis://h/0?"]))
def test_whatever_is_given_ends_in_an_address_or_in_a_line(text: str, beginning: str) -> None:
    if (beginning + text).strip().startswith("@"):
        return
    try:
        url = read_state_url(beginning + text)
    except ValueError as error:
        said = str(error)
    else:
        said = "" if url is None else f"{url.shown} is not possible"
    assert said.partition(";")[0] in ("", "that is not possible") or said.startswith(("redis", "unix"))


@pytest.mark.parametrize("content", ["", "@other", "no address"])
def test_a_file_without_an_address_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "address"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"holds no address|not possible"):
        read_state_url(f"@{file}")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere cannot be read \(FileNotFoundError\)"):
        read_state_url(f"@{tmp_path / 'nowhere'}")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"binary cannot be read \(UnicodeDecodeError\)"):
        read_state_url(f"@{tmp_path / 'binary'}")


def _settings(context: taddons.context, value: str) -> Settings:
    context.options.update(foundry_state_url=value)
    return read_settings(context.options, {})


def test_the_option_names_the_server(context: taddons.context) -> None:
    assert _settings(context, "").state_url is None
    settings = _settings(context, f"redis://:{SECRET}@server/1")
    assert str(settings.state_url) == "redis://server:6379/1"
    assert SECRET not in repr(settings)


def test_a_wrong_value_of_the_option_ends_in_one_line_that_does_not_show_it(context: taddons.context) -> None:
    with pytest.raises(OptionsError, match=r"^foundry_state_url: that is not possible") as refused:
        _settings(context, WRONG[0])
    assert SECRET not in str(refused.value)


def test_without_the_package_the_option_says_what_to_install(
    context: taddons.context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "IS_AVAILABLE", False)
    assert _settings(context, "").state_url is None
    with pytest.raises(
        OptionsError, match=r"^foundry_state_url: the package redis is not installed: `pip install redis`"
    ):
        _settings(context, "redis://server")
