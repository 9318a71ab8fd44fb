from __future__ import annotations

import pytest

from launcher.no_proxy import matches, repair

HOST = "my-org.services.ai.azure.com"


@pytest.mark.parametrize(
    "entry",
    ["*", HOST, HOST.upper(), f"{HOST}:443", "azure.com", ".azure.com", "*.azure.com", "services.ai.azure.com", "com"],
)
def test_entries_that_lead_past_the_proxy(entry: str) -> None:
    assert matches(entry, HOST)
    assert entry not in repair({"NO_PROXY": f"one.example,{entry}"}, HOST).value.split(",")


@pytest.mark.parametrize(
    "entry",
    [
        "localhost",
        "10.0.0.0/8",
        "openai.azure.com",
        "org.services.ai.azure.com",
        "ure.com",
        ".",
        "[::1]",
        "other-org.services.ai.azure.com",
    ],
)
def test_entries_that_stay(entry: str) -> None:
    assert not matches(entry, HOST)
    repaired = repair({"NO_PROXY": entry}, HOST)
    assert entry in repaired.value.split(",")
    assert repaired.dropped == ()


def test_what_is_near_is_always_in_it_once() -> None:
    assert repair({}, HOST).value == "localhost,127.0.0.1,::1,169.254.169.254"
    assert repair({"NO_PROXY": "127.0.0.1"}, HOST).value == "127.0.0.1,localhost,::1,169.254.169.254"


def test_both_spellings_count() -> None:
    repaired = repair({"NO_PROXY": "a.example, b.example", "no_proxy": "b.example azure.com"}, HOST)
    assert repaired.value == "a.example,b.example,localhost,127.0.0.1,::1,169.254.169.254"
    assert repaired.dropped == ("azure.com",)
    assert not repaired.everything_was_direct


def test_a_star_means_that_no_proxy_was_wanted() -> None:
    assert repair({"no_proxy": "*"}, HOST).everything_was_direct


def test_a_gateway_on_loopback_goes_through_the_proxy() -> None:
    assert repair({}, "localhost").value == "127.0.0.1,::1,169.254.169.254"
