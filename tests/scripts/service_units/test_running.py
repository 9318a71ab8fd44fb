from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest

from configuring.foundry_options import OPTION_NAMES
from connecting import certificate_authority
from service_units import running
from service_units.running import command_line

SYSTEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "FOUNDRY_COMPRESS_STATE_DIR": str(tmp_path / "state"),
        "FOUNDRY_COMPRESS_CONFDIR": str(tmp_path / "certs"),
    }


def options(argv: list[str]) -> dict[str, str]:
    return dict(value.split("=", 1) for name, value in itertools.pairwise(argv) if name == "--set")


def test_it_listens_on_this_machine_only(environment: dict[str, str]) -> None:
    found = options(command_line(8787, environment))
    assert (found["listen_host"], found["listen_port"]) == ("127.0.0.1", "8787")
    assert "--mode" not in command_line(8787, environment)


def test_every_option_has_a_variable_but_the_token(environment: dict[str, str]) -> None:
    given = {f"FOUNDRY_COMPRESS_{name.removeprefix('foundry_').upper()}": "some-value" for name in OPTION_NAMES}
    found = options(command_line(8787, environment | given | {"FOUNDRY_COMPRESS_STATE_DIR": "/tmp/s"}))
    assert {name for name in found if name.startswith("foundry_")} == OPTION_NAMES - {"foundry_token"}


def test_what_it_trusts(environment: dict[str, str], tmp_path: Path) -> None:
    for name in ("company", "system"):
        (tmp_path / name).write_text(SYSTEM.format(name))
    given = {"NODE_EXTRA_CA_CERTS": str(tmp_path / "company"), "SSL_CERT_FILE": str(tmp_path / "system")}
    file = Path(options(command_line(8787, environment | given))["ssl_verify_upstream_trusted_ca"])
    assert file.is_relative_to(tmp_path / "state" / "service")
    assert {"company", "system"} <= set(file.read_text().splitlines())
    assert file.parent.stat().st_mode & 0o077 == 0


def test_the_company_proxy_is_named_without_its_password(environment: dict[str, str]) -> None:
    argv = command_line(8787, environment | {"HTTPS_PROXY": "http://user:secret@company.example:3128"})
    assert argv[argv.index("--mode") + 1] == "upstream:http://company.example:3128"
    assert "secret" not in " ".join(argv)
    assert "connection_strategy" not in options(argv)


def test_where_some_hosts_are_reached_without_it(environment: dict[str, str]) -> None:
    given = {"HTTPS_PROXY": "http://company.example:3128", "NO_PROXY": ".azure.com"}
    assert options(command_line(8787, environment | given))["connection_strategy"] == "lazy"


@pytest.mark.parametrize("quiet", [True, False])
def test_it_becomes_mitmdump(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: bool
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *given: seen.append(given))
    with pytest.raises(AssertionError):  # nothing that becomes another program comes back
        running.run(8787, environment, quiet=quiet)
    program, argv, variables = seen[0]
    assert program == argv[0]
    assert ("termlog_verbosity" in options(argv)) == quiet
    assert variables == environment | {"FOUNDRY_SERVICE_PORT": "8787"}
    made = certificate_authority.inspect(tmp_path / "certs")
    assert made
    assert made.constrained
