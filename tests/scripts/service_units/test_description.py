from __future__ import annotations

import sys
from pathlib import Path

import pytest

from launcher import durable_trust
from launcher.client_settings import ClientSettings
from launcher.corporate_proxy import CorporateProxy
from launcher.errors import LauncherError
from launcher.proxy_process import PROJECT
from service_units import next_hop
from service_units.description import Service, describe, inherited

CERTIFICATE = "-----BEGIN CERTIFICATE-----\ncompany\n-----END CERTIFICATE-----\n"


def settings(tmp_path: Path, **variables: str) -> ClientSettings:
    own = {"FOUNDRY_COMPRESS_STATE_DIR": str(tmp_path / "state"), "FOUNDRY_COMPRESS_CONFDIR": str(tmp_path / "certs")}
    return ClientSettings({**own, **variables}, {}, frozenset())


def test_what_it_starts() -> None:
    argv = Service(9000).arguments
    assert argv[0] == sys.executable
    assert argv[1] == "-I"
    assert (Path(argv[3]) / "__main__.py").is_file()
    assert argv[4:] == ["run", "--port", "9000"]
    assert Service(9000).arguments_with(1)[-1] == "1"


def test_the_launchers_variables_hold_for_it(tmp_path: Path) -> None:
    given = settings(
        tmp_path,
        FOUNDRY_COMPRESS_MODE="observe",
        FOUNDRY_COMPRESS_KEEP_DAYS="3",
        FOUNDRY_COMPRESS_EXTRA_HOSTS="",
        FOUNDRY_COMPRESS_TOKEN="secret",
        ANTHROPIC_FOUNDRY_API_KEY="secret",
        PATH="/bin",
    )
    service, upstream = describe(given, 8787, None)
    assert upstream is None
    assert service == Service(
        8787,
        {
            "FOUNDRY_COMPRESS_CONFDIR": str(tmp_path / "certs"),
            "FOUNDRY_COMPRESS_KEEP_DAYS": "3",
            "FOUNDRY_COMPRESS_MODE": "observe",
            "FOUNDRY_COMPRESS_STATE_DIR": str(tmp_path / "state"),
        },
    )
    assert service.writable == (tmp_path / "state", tmp_path / "certs")
    assert describe(given, 8787, "lossless")[0].environment["FOUNDRY_COMPRESS_MODE"] == "lossless"


def test_what_is_not_said_anew_stays(tmp_path: Path) -> None:
    before, _ = describe(settings(tmp_path, FOUNDRY_COMPRESS_KEEP_DAYS="3"), 8787, "lossless")
    assert describe(settings(tmp_path), 8787, None, before)[0] == before
    again, _ = describe(settings(tmp_path, FOUNDRY_COMPRESS_MODE="observe"), 8787, None, before)
    assert again.environment == {**before.environment, "FOUNDRY_COMPRESS_MODE": "observe"}


def test_it_says_where_its_folders_are_wherever_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/dev")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    service, _ = describe(ClientSettings({}, {}, frozenset()), 8787, None)
    assert service.environment == {
        "FOUNDRY_COMPRESS_STATE_DIR": "/home/dev/.local/state/foundry-compress",
        "FOUNDRY_COMPRESS_CONFDIR": str(PROJECT / "certs"),
    }


def test_the_launchers_variables_are_the_shells(tmp_path: Path) -> None:
    found = settings(tmp_path, FOUNDRY_COMPRESS_MODE="observe")
    of_a_file = ClientSettings(found.variables, {"FOUNDRY_COMPRESS_MODE": "settings.json"}, frozenset())
    assert "FOUNDRY_COMPRESS_MODE" not in describe(of_a_file, 8787, None)[0].environment


def test_paths_do_not_depend_on_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    service, _ = describe(settings(tmp_path, FOUNDRY_COMPRESS_CONFDIR="ca"), 8787, None)
    assert service.environment["FOUNDRY_COMPRESS_CONFDIR"] == str(tmp_path / "ca")


def test_the_clients_gateway_is_one_of_the_hosts(tmp_path: Path) -> None:
    given = settings(
        tmp_path,
        CLAUDE_CODE_USE_FOUNDRY="1",
        ANTHROPIC_FOUNDRY_BASE_URL="https://gateway.example/anthropic",
        FOUNDRY_COMPRESS_EXTRA_HOSTS="other.example",
    )
    service, _ = describe(given, 8787, None)
    assert service.environment["FOUNDRY_COMPRESS_EXTRA_HOSTS"] == "other.example,gateway.example"


def test_the_companys_proxy_is_the_next_hop_without_its_password(tmp_path: Path) -> None:
    given = settings(tmp_path, HTTPS_PROXY="http://user:secret@company.example:3128", NO_PROXY="intranet.example")
    service, upstream = describe(given, 8787, None)
    assert upstream == CorporateProxy("http://company.example:3128", "user:secret")
    assert service.environment["HTTPS_PROXY"] == "http://company.example:3128"
    assert service.environment["NO_PROXY"].startswith("intranet.example,")
    assert "secret" not in str(service)


def test_who_wants_no_proxy_gets_none(tmp_path: Path) -> None:
    service, upstream = describe(settings(tmp_path, HTTPS_PROXY="http://company.example:1", NO_PROXY="*"), 8787, None)
    assert upstream is None
    assert "HTTPS_PROXY" not in service.environment


def test_installed_again_where_clients_are_led_to_it_by_now(tmp_path: Path) -> None:
    company = tmp_path / "company.pem"
    company.write_text(CERTIFICATE)
    ours = tmp_path / "ours.pem"
    ours.write_text(CERTIFICATE.replace("company", "ours"))
    proxy = "http://user:secret@company.example:3128"
    first = {"HTTPS_PROXY": proxy, "NO_PROXY": ".azure.com", "NODE_EXTRA_CA_CERTS": str(company)}
    service, upstream = describe(settings(tmp_path, **first), 8787, None)
    next_hop.keep(service.environment, upstream)
    bundles = durable_trust.write(first, ours, durable_trust.folder(tmp_path / "state"))
    led = settings(tmp_path, **bundles, HTTPS_PROXY="http://127.0.0.1:8787", NO_PROXY="localhost")
    assert describe(led, 8787, None, service) == (service, upstream)
    moved, _ = describe(led, 9999, None, service)
    assert moved == Service(9999, service.environment)
    assert describe(led, 8787, None)[1] is None, "it would send on to itself"


def test_a_company_that_has_no_proxy_any_longer(tmp_path: Path) -> None:
    service, _ = describe(settings(tmp_path, HTTPS_PROXY="http://company.example:3128"), 8787, None)
    assert describe(settings(tmp_path), 8787, None, service)[1] is None


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_is_none(tmp_path: Path, port: int) -> None:
    with pytest.raises(LauncherError, match="--port"):
        describe(settings(tmp_path), port, None)


def test_what_a_service_has_anyway() -> None:
    assert inherited({"HOME": "/h", "PATH": "/bin", "SECRET": "x"}) == {"HOME": "/h", "PATH": "/bin"}
