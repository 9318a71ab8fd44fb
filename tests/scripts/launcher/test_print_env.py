from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor_checks import proxy
from doctor_checks.proxy import Kind, Look
from launcher import client_settings, no_proxy, print_env
from launcher.command import main as claude_foundry
from launcher.errors import LauncherError
from service_units.address import Whereabouts
from tests.e2e.mitmdump import free_port
from tests.scripts.doctor_checks.machine import saying, speaking


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(print_env, "whereabouts", Whereabouts)
    return tmp_path


class Printed:
    """What `--print-env` said."""

    def __init__(
        self, home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], given: Mapping[str, str]
    ) -> None:
        environment = {
            "HOME": str(home),
            "FOUNDRY_COMPRESS_CONFDIR": str(home / "certs"),
            "FOUNDRY_COMPRESS_STATE_DIR": str(home / "state"),
            **given,
        }
        capsys.readouterr()
        assert print_env.main(arguments, environment) == 0
        self.out, err = capsys.readouterr()
        self.said = [line.removeprefix("claude-foundry: ") for line in err.splitlines()]

    @property
    def variables(self) -> dict[str, str]:
        block = json.loads(self.out)["env"]
        assert isinstance(block, dict)
        return block


@pytest.fixture
def ready() -> bytes:
    body = b'{"addon": "foundry_compress", "version": "9", "mode": "balanced"}'
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def test_a_client_is_given_this(home: Path, capsys: pytest.CaptureFixture[str], ready: bytes) -> None:
    with speaking(saying(ready)) as port:
        address = f"http://127.0.0.1:{port}"
        printed = Printed(home, capsys, ["--print-env", "json", "--proxy", address], {"NO_PROXY": "intranet.example"})
    found = printed.variables
    assert printed.said == []
    assert found["HTTPS_PROXY"] == found["https_proxy"] == address
    assert found["NO_PROXY"] == found["no_proxy"] == "intranet.example,localhost,127.0.0.1,::1,169.254.169.254"
    ours = (home / "certs" / "mitmproxy-ca-cert.pem").read_text()
    for name in ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        assert ours in Path(found[name]).read_text()
        assert Path(found[name]).parent == home / "state" / "trust"


def test_asked_in_the_environment_that_it_printed_it_prints_the_same(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    company = home / "company.pem"
    company.write_text("-----BEGIN CERTIFICATE-----\ncompany\n-----END CERTIFICATE-----\n")
    arguments = ["--print-env", "json"]
    before = {"NO_PROXY": "a.example,.azure.com", "NODE_EXTRA_CA_CERTS": str(company)}
    first = Printed(home, capsys, arguments, before).variables
    files = {file: file.read_bytes() for file in (home / "state" / "trust").iterdir()}
    assert Printed(home, capsys, arguments, first).variables == first
    assert {file: file.read_bytes() for file in (home / "state" / "trust").iterdir()} == files


def test_the_default_is_the_services_port(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Printed(home, capsys, ["--print-env", "json"], {}).variables["HTTPS_PROXY"] == "http://127.0.0.1:8787"
    monkeypatch.setattr(print_env, "whereabouts", lambda: Whereabouts(9999))
    assert Printed(home, capsys, ["--print-env=json"], {}).variables["HTTPS_PROXY"] == "http://127.0.0.1:9999"


@pytest.mark.parametrize("arguments", [[], ["--proxy", "localhost:9999"]])
def test_the_services_authority_counts_whatever_this_shell_says(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    installed = {
        "FOUNDRY_COMPRESS_STATE_DIR": str(home / "its state"),
        "FOUNDRY_COMPRESS_CONFDIR": str(home / "its certs"),
        "HTTPS_PROXY": "http://company.example:1",
    }
    monkeypatch.setattr(print_env, "whereabouts", lambda: Whereabouts(9999, installed))
    found = Printed(home, capsys, ["--print-env", "json", *arguments], {}).variables
    bundle = Path(found["NODE_EXTRA_CA_CERTS"])
    assert bundle.parent == home / "its state" / "trust"
    assert (home / "its certs" / "mitmproxy-ca-cert.pem").read_text() in bundle.read_text()
    assert not (home / "certs").exists()
    Printed(home, capsys, ["--print-env", "json", "--proxy", "http://127.0.0.1:9998"], {})
    assert (home / "certs").exists(), "another proxy has another"


# NO_PROXY


@pytest.mark.parametrize(
    ("given", "kept", "dropped"),
    [
        ("*", "", "*"),
        (".azure.com, a.example", "a.example,", ".azure.com"),
        ("res.services.ai.azure.com:443", "", "res.services.ai.azure.com:443"),
        ("*.res.openai.azure.us", "", "*.res.openai.azure.us"),
        ("gateway.example", "", "gateway.example"),
        ("other.example", "other.example,", ""),
        ("azure.com.example", "azure.com.example,", ""),
    ],
)
def test_nothing_leads_foundry_past_the_proxy(
    home: Path, capsys: pytest.CaptureFixture[str], given: str, kept: str, dropped: str
) -> None:
    variables = {"NO_PROXY": given, "FOUNDRY_COMPRESS_EXTRA_HOSTS": "gateway.example"}
    printed = Printed(home, capsys, ["--print-env", "json"], variables)
    assert printed.variables["NO_PROXY"] == f"{kept}localhost,127.0.0.1,::1,169.254.169.254"
    said = [f"NO_PROXY would lead Foundry past the proxy: left out is {dropped}."] if dropped else []
    assert printed.said[:-1] == said


def test_the_gateway_of_the_client_counts(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    variables = {
        "CLAUDE_CODE_USE_FOUNDRY": "1",
        "ANTHROPIC_FOUNDRY_BASE_URL": "https://gateway.example/anthropic",
        "NO_PROXY": ".example",
    }
    printed = Printed(home, capsys, ["--print-env", "json"], variables)
    assert printed.variables["NO_PROXY"] == "localhost,127.0.0.1,::1,169.254.169.254"


_LABEL = st.sampled_from(["a", "res", "services", "ai", "openai", "azure", "com", "us", "example", "*", ""])
_ENTRY = st.lists(_LABEL, min_size=1, max_size=5).map(".".join)


@given(st.lists(_ENTRY, max_size=4), st.sampled_from(["res.services.ai.azure.com", "a.openai.azure.us"]))
def test_no_entry_that_is_left_matches_a_foundry_host(entries: list[str], host: str) -> None:
    found = print_env.exceptions_for({"NO_PROXY": ",".join(entries)}, [host])
    assert not any(no_proxy.matches(entry, host) for entry in found.value.split(","))
    assert set(found.dropped) <= set(entries)
    harmless = [entry for entry in entries if entry.endswith(".example") and entry not in found.dropped]
    assert set(harmless) <= set(found.value.split(","))


# What is worth saying


def test_a_proxy_that_does_not_answer_is_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    printed = Printed(home, capsys, ["--print-env", "sh", "--proxy", f"127.0.0.1:{port}"], {})
    assert f"export HTTPS_PROXY='http://127.0.0.1:{port}'\n" in printed.out
    assert printed.said == [f"no proxy answers at 127.0.0.1:{port} (nothing listens there): start it."]


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (Look(Kind.ADDON, mode="balanced"), None),
        (Look(Kind.ADDON), None),
        (Look(Kind.ADDON, mode="off"), "the proxy at 127.0.0.1:8787 is off, so it changes nothing."),
        (
            Look(Kind.SILENT, said="no answer within 5 s"),
            "no proxy answers at 127.0.0.1:8787 (no answer within 5 s): start it with scripts/service install.",
        ),
        (Look(Kind.MITMPROXY), "what answers at 127.0.0.1:8787 is a mitmproxy without the addon."),
        (
            Look(Kind.OTHER, said="it answered 404"),
            "what answers at 127.0.0.1:8787 is no proxy of ours (it answered 404).",
        ),
        (
            Look(Kind.LOCKED),
            "the proxy at 127.0.0.1:8787 wants a user and password: --proxy http://USER:PASSWORD@127.0.0.1:8787.",
        ),
    ],
)
def test_what_answers_there(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, seen: Look, says: str | None
) -> None:
    monkeypatch.setattr(proxy, "look", lambda *_: seen)
    assert Printed(home, capsys, ["--print-env", "sh"], {}).said == ([says] if says else [])


def test_settings_that_win_over_a_shell(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = home / ".claude" / "settings.json"
    file.parent.mkdir()
    file.write_text('{"env": {"HTTPS_PROXY": "http://user:secret@company.example:1"}}')
    said = Printed(home, capsys, ["--print-env", "sh"], {}).said[0]
    assert said == f"{file} sets HTTPS_PROXY, and Claude Code prefers that: change it there."
    assert len(Printed(home, capsys, ["--print-env", "json"], {}).said) == 1


def test_a_project_in_which_one_stands_has_no_say(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its files may be anybody's, and the bundles are for all projects."""
    theirs = home / "theirs.pem"
    theirs.write_text("-----BEGIN CERTIFICATE-----\ntheirs\n-----END CERTIFICATE-----\n")
    file = home / "work" / ".claude" / "settings.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"env": {"NODE_EXTRA_CA_CERTS": str(theirs), "NO_PROXY": "theirs.example"}}))
    printed = Printed(home, capsys, ["--print-env", "json"], {})
    assert "theirs" not in Path(printed.variables["NODE_EXTRA_CA_CERTS"]).read_text()
    assert "theirs" not in printed.out
    said = Printed(home, capsys, ["--print-env", "sh"], {}).said
    assert f"{file} sets NODE_EXTRA_CA_CERTS, and Claude Code prefers that: change it there." in said


def test_managed_settings_win_over_everything(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    managed = home / "managed"
    managed.mkdir()
    (managed / "managed-settings.json").write_text('{"env": {"HTTPS_PROXY": "http://company.example:1"}}')
    read = client_settings.read
    patched = functools.partial(read, directory=home / "work", managed_directory=managed)
    monkeypatch.setattr(client_settings, "read", patched)
    said = Printed(home, capsys, ["--print-env", "json"], {}).said
    assert said[0].startswith(f"{managed / 'managed-settings.json'} sets HTTPS_PROXY")


def test_a_container_has_a_loopback_of_its_own(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--network host" in Printed(home, capsys, ["--print-env", "docker"], {}).said[0]


def test_another_machine_has_another_authority(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gateway = home / "gateway.pem"
    gateway.write_text("-----BEGIN CERTIFICATE-----\ngateway\n-----END CERTIFICATE-----\n")
    arguments = ["--print-env", "json", "--proxy", f"http://made-up.invalid:{free_port()}"]
    assert "--ca FILE" in Printed(home, capsys, arguments, {}).said[0]
    printed = Printed(home, capsys, [*arguments, "--ca", str(gateway)], {})
    assert not any("--ca" in line for line in printed.said)
    assert gateway.read_text() in Path(printed.variables["NODE_EXTRA_CA_CERTS"]).read_text()


def test_secrets_of_the_environment_are_not_printed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secrets = {
        "ANTHROPIC_FOUNDRY_API_KEY": "key-123",
        "HTTPS_PROXY": "http://user:word-123@company.example:1",
        "FOUNDRY_COMPRESS_TOKEN": "token-123",
    }
    printed = Printed(home, capsys, ["--print-env", "sh"], secrets)
    assert "123" not in printed.out + "".join(printed.said)


# What is not possible


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--print-env"], "expected one argument"),
        (["--print-env", "bash"], "'bash' is not possible; allowed are sh, fish, powershell, json, docker"),
        (["--print-env", "sh", "-p", "hi"], "unrecognized arguments"),
        (["--print-env", "sh", "--proxy", "socks5://127.0.0.1:1"], "give http://HOST:PORT"),
        (["--print-env", "sh", "--proxy", "https://127.0.0.1:1"], "give http://HOST:PORT"),
        (["--print-env", "sh", "--proxy", "http://127.0.0.1"], "give http://HOST:PORT"),
        (["--print-env", "sh", "--proxy", "http://127.0.0.1:99999"], "give http://HOST:PORT"),
        (["--print-env", "sh", "--proxy", "http://u:secret@a b:1"], "give http://HOST:PORT"),
        (["--print-env", "sh", "--proxy", ""], "give http://HOST:PORT"),
        (["--print-env", "sh", "--ca", "/nowhere.pem"], "/nowhere.pem holds no certificate"),
    ],
)
def test_one_line_and_exit_code_2(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert claude_foundry(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("claude-foundry: ")
    assert says in err
    assert "secret" not in err


def test_nothing_is_printed_where_a_value_cannot_be_written(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LauncherError, match="line break"):
        Printed(home, capsys, ["--print-env", "docker"], {"FOUNDRY_COMPRESS_STATE_DIR": str(home / "a\nb")})
    assert capsys.readouterr().out == ""
