from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_hosts import PROVIDERS, hosts, named_provider, provider_of, region_lacking

DOCS = Path(__file__).resolve().parents[1] / "docs" / "clients"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"


@pytest.mark.parametrize(
    ("given_name", "named"),
    [
        ("vertex", "vertex"),
        (" Bedrock ", "bedrock"),
        ("anthropic", "anthropic"),
        ("vertex:us-east5", "vertex:us-east5"),
        ("vertex:GLOBAL", "vertex:global"),
        ("bedrock:us-gov-west-1", "bedrock:us-gov-west-1"),
        ("bedrock:xx-new-9", "bedrock:xx-new-9"),
        ("anthropic:us", ""),
        ("vertex:", ""),
        ("vertex:*", ""),
        ("vertex:us.evil", ""),
        ("bedrock:us-east-1.amazonaws.com", ""),
        ("bedrock:-", ""),
        ("bedrock:us-", ""),
        ("foundry", ""),
        ("", ""),
    ],
)
def test_providers_that_people_name(given_name: str, named: str) -> None:
    assert named_provider(given_name) == named


@given(
    st.text(max_size=40) | st.sampled_from(["vertex:", "bedrock:"]).flatmap(lambda name: st.text().map(name.__add__))
)
def test_whatever_is_taken_has_hosts_that_are_names(text: str) -> None:
    named = named_provider(text)
    if named:
        assert named_provider(named) == named
        for host in hosts(named):
            assert re.fullmatch(rf"{_LABEL}(?:\.{_LABEL}){{2,4}}", host)
            assert provider_of(host, [named]) == named.partition(":")[0]


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("vertex:us-east5", ("us-east5-aiplatform.googleapis.com",)),
        ("vertex:global", ("aiplatform.googleapis.com",)),
        ("vertex:us", ("aiplatform.us.rep.googleapis.com",)),
        ("vertex:eu", ("aiplatform.eu.rep.googleapis.com",)),
        ("bedrock:eu-central-1", ("bedrock-runtime.eu-central-1.amazonaws.com",)),
        (
            "bedrock:us-east-1",
            ("bedrock-runtime.us-east-1.amazonaws.com", "bedrock-runtime-fips.us-east-1.amazonaws.com"),
        ),
        ("anthropic", ("api.anthropic.com",)),
    ],
)
def test_hosts_of_a_region(named: str, expected: tuple[str, ...]) -> None:
    assert hosts(named) == expected


def test_a_provider_without_a_region_is_all_regions_that_are_known() -> None:
    assert {"us-east5-aiplatform.googleapis.com", "aiplatform.googleapis.com"} < set(hosts("vertex"))
    assert {"bedrock-runtime.eu-west-1.amazonaws.com", "bedrock-runtime-fips.us-west-2.amazonaws.com"} < set(
        hosts("bedrock")
    )
    assert provider_of("bedrock-runtime.xx-new-9.amazonaws.com", PROVIDERS) == ""
    assert provider_of("bedrock-runtime.xx-new-9.amazonaws.com", ["bedrock:xx-new-9"]) == "bedrock"


@pytest.mark.parametrize(
    ("host", "named", "lacking"),
    [
        ("us-new9-aiplatform.googleapis.com", ["vertex"], "vertex:us-new9"),
        ("us-east4-aiplatform.googleapis.com", ["vertex:us-east5"], "vertex:us-east4"),
        ("aiplatform.googleapis.com", ["vertex:us-east5"], "vertex:global"),
        ("aiplatform.eu.rep.googleapis.com", ["vertex:us-east5"], "vertex:eu"),
        ("aiplatform.asia.rep.googleapis.com", ["vertex"], ""),  # nothing that can be named has this host
        ("bedrock-runtime.xx-new-9.amazonaws.com", ["anthropic", "bedrock"], "bedrock:xx-new-9"),
        ("bedrock-runtime-fips.us-west-2.amazonaws.com", ["bedrock:us-east-1"], "bedrock:us-west-2"),
        ("us-east4-aiplatform.googleapis.com", ["vertex"], ""),  # it is named
        ("us-east4-aiplatform.googleapis.com", ["bedrock"], ""),
        ("us-east4-aiplatform.googleapis.com", [], ""),
        ("bedrock.us-east-1.amazonaws.com", ["bedrock:us-east-1"], ""),
        ("oauth2.googleapis.com", ["vertex"], ""),
        ("", ["vertex"], ""),
    ],
)
def test_what_to_name_for_a_region_that_is_not(host: str, named: list[str], lacking: str) -> None:
    assert region_lacking(host, named) == lacking
    assert not lacking or provider_of(host, [*named, lacking])


@pytest.mark.parametrize(("name", "count"), [("vertex", 45), ("bedrock", 41)])
def test_the_pages_say_how_many_hosts_there_are(name: str, count: int) -> None:
    assert len(set(hosts(name))) == count
    assert f"{count} for all regions" in (DOCS / f"{name}.md").read_text(encoding="utf-8")


def test_no_host_lets_an_authority_vouch_for_what_is_not_claudes() -> None:
    """An authority that is bound to a name may vouch for its subdomains: there must be nothing of others under one."""
    for host in (host for name in PROVIDERS for host in hosts(name)):
        assert host.startswith(("bedrock-runtime", "api.anthropic.com", "aiplatform.")) or "-aiplatform." in host
        assert host.count(".") >= 2
