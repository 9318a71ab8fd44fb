from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.corporate_proxy import CorporateProxy
from launcher.errors import LauncherError
from service_units import next_hop

COMPANY = CorporateProxy("http://company.example:3128", "user:pass word")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"FOUNDRY_COMPRESS_STATE_DIR": str(tmp_path / "state"), "HTTPS_PROXY": COMPANY.url}


def test_what_was_kept_is_found(environment: dict[str, str]) -> None:
    next_hop.keep(environment, COMPANY)
    assert next_hop.find(environment, 8787) == COMPANY
    file = next_hop.own_dir(environment) / "next-hop.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_it_is_kept_for_that_proxy_only(environment: dict[str, str]) -> None:
    next_hop.keep(environment, COMPANY)
    other = environment | {"HTTPS_PROXY": "http://other.example:3128"}
    assert next_hop.find(other, 8787) == CorporateProxy("http://other.example:3128", None)


def test_what_is_given_counts(environment: dict[str, str]) -> None:
    next_hop.keep(environment, COMPANY)
    found = next_hop.find(environment | {"HTTPS_PROXY": "http://me:mine@company.example:3128"}, 8787)
    assert found == CorporateProxy(COMPANY.url, "me:mine")


@pytest.mark.parametrize("nothing", [None, CorporateProxy(COMPANY.url, None)])
def test_what_is_not_wanted_any_longer_goes(environment: dict[str, str], nothing: CorporateProxy | None) -> None:
    next_hop.keep(environment, nothing)
    next_hop.keep(environment, COMPANY)
    next_hop.keep(environment, nothing)
    assert next_hop.find(environment, 8787) == CorporateProxy(COMPANY.url, None)


@given(st.binary(max_size=40) | st.sampled_from([b"[]", b"{}", b'{"proxy": "http://company.example:3128"}', b"\xff"]))
def test_whatever_is_in_the_file(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    environment = {"FOUNDRY_COMPRESS_STATE_DIR": str(tmp_path_factory.mktemp("s")), "HTTPS_PROXY": COMPANY.url}
    next_hop.own_dir(environment).mkdir()
    (next_hop.own_dir(environment) / "next-hop.json").write_bytes(content)
    assert next_hop.find(environment, 8787) == CorporateProxy(COMPANY.url, None)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_nobody_sends_on_to_himself(host: str) -> None:
    assert next_hop.find({"HTTPS_PROXY": f"http://{host}:8787"}, 8787) is None
    assert next_hop.find({"HTTPS_PROXY": f"http://{host}:8788"}, 8787) is not None


def test_no_proxy_at_all_is_wanted() -> None:
    assert next_hop.find({"HTTPS_PROXY": COMPANY.url, "NO_PROXY": "*"}, 8787) is None
    assert next_hop.find({}, 8787) is None


def test_one_that_cannot_be_used() -> None:
    with pytest.raises(LauncherError, match="cannot be chained"):
        next_hop.find({"HTTPS_PROXY": "socks5://127.0.0.1:1"}, 8787)
