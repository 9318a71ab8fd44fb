from __future__ import annotations

import os
from pathlib import Path

import pytest
from mitmproxy.utils.htpasswd import HtpasswdFile

from team_gateway import command, own_user, users


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        users.LINES_VARIABLE: users.line_for("anna", "secret"),
        own_user.FOLDER_VARIABLE: str(tmp_path / "run"),
        "FOUNDRY_COMPRESS_CONFDIR": str(tmp_path / "ca"),
    }


def options(argv: list[str]) -> dict[str, str]:
    """What follows each --set."""
    given = [argv[at + 1] for at, part in enumerate(argv) if part == "--set"]
    return dict(one.split("=", 1) for one in given)


def test_it_asks_for_passwords_on_every_address_and_knows_one_more_user(
    environment: dict[str, str], tmp_path: Path
) -> None:
    given = options(command.mitmdump([], environment))
    assert (given["listen_host"], given["listen_port"], given["confdir"]) == ("", "8080", str(tmp_path / "ca"))
    own = own_user.read(tmp_path / "run")
    assert own
    assert (own.host, own.port, own.pid) == ("127.0.0.1", 8080, os.getpid())
    known = HtpasswdFile.from_file(Path(given["proxyauth"].removeprefix("@")))
    assert known.check_password("anna", "secret")
    assert known.check_password(own.name, own.password)
    assert sorted(known.users) == ["anna", own.name]


def test_no_secret_is_on_the_command_line(environment: dict[str, str], tmp_path: Path) -> None:
    argv = command.mitmdump([], environment | {"FOUNDRY_COMPRESS_TOKEN": "token"})
    own = own_user.read(tmp_path / "run")
    assert own
    assert not [part for part in argv if "SHA" in part or own.password in part or "token" in part.lower()]


def test_variables_become_options_and_arguments_come_last(environment: dict[str, str]) -> None:
    environment["FOUNDRY_COMPRESS_STATE_URL"] = "@/run/secrets/state_url"
    environment |= {"FOUNDRY_COMPRESS_MODE": "lossless", "FOUNDRY_COMPRESS_EXTRA_HOSTS": "", "FOUNDRY_OTHER": "1"}
    argv = command.mitmdump(["--set", "foundry_mode=off"], environment)
    assert {"foundry_mode=lossless", "foundry_state_url=@/run/secrets/state_url"} < set(argv)
    assert argv[-1] == "foundry_mode=off"
    assert not [part for part in argv if "foundry_extra_hosts" in part or "foundry_confdir" in part]


def test_the_authority_is_there_before_mitmproxy_could_make_one(environment: dict[str, str], tmp_path: Path) -> None:
    command.mitmdump([], environment)
    assert (tmp_path / "ca" / "mitmproxy-ca-cert.pem").exists()


@pytest.mark.parametrize(
    ("host", "reached"), [("", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("192.0.2.7", "192.0.2.7")]
)
def test_it_is_asked_where_it_listens(environment: dict[str, str], tmp_path: Path, host: str, reached: str) -> None:
    environment |= {"FOUNDRY_GATEWAY_HOST": host, "FOUNDRY_GATEWAY_PORT": "81"}
    assert options(command.mitmdump([], environment))["listen_host"] == host
    own = own_user.read(tmp_path / "run")
    assert own
    assert (own.host, own.port) == (reached, 81)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"FOUNDRY_GATEWAY_HOST": "gateway"}, "FOUNDRY_GATEWAY_HOST: give an address"),
        ({"FOUNDRY_GATEWAY_PORT": "0"}, "FOUNDRY_GATEWAY_PORT: give a whole number"),
        ({"FOUNDRY_GATEWAY_PORT": "http"}, "FOUNDRY_GATEWAY_PORT: give a whole number"),
        ({users.LINES_VARIABLE: "# nobody"}, "names nobody"),
        ({own_user.FOLDER_VARIABLE: "/dev/null/run"}, "cannot be written"),
        ({"FOUNDRY_COMPRESS_CONFDIR": "/dev/null/ca"}, "/dev/null/ca"),
        (
            {"FOUNDRY_COMPRESS_STATE_URL": "redis://:secret@redis:6379"},
            "STATE_URL holds a password: put it into a file",
        ),
    ],
)
def test_what_is_in_the_way_is_one_line(
    environment: dict[str, str], variables: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([], environment | variables) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("gateway: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert "secret" not in printed.err


def test_it_becomes_mitmdump_without_the_lines_in_its_variables(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    became: list[tuple[str, list[str], dict[str, str]]] = []
    monkeypatch.setattr(os, "execve", lambda *given: became.append(given))
    command.main([], environment)
    ((program, argv, variables),) = became
    assert argv[0] == program
    assert variables == {key: value for key, value in environment.items() if key != users.LINES_VARIABLE}


def test_a_new_user_is_a_line_for_the_file_and_a_password_for_the_person(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--new-user", "anna"], {}) == 0
    printed = capsys.readouterr()
    password = printed.err.split(" is ")[1].split()[0]
    assert HtpasswdFile(printed.out).check_password("anna", password)
    assert command.main(["--new-user"], {}) == 2
    assert command.main(["--new-user", "an:na"], {}) == 2


def test_help_names_every_variable(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--help"], {}) == 0
    said = capsys.readouterr().out
    for name in (users.FILE_VARIABLE, users.LINES_VARIABLE, own_user.FOLDER_VARIABLE, "FOUNDRY_GATEWAY_SECRETS"):
        assert name in said
