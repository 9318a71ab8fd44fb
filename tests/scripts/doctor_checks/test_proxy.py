from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from doctor_checks import proxy
from doctor_checks.finding import Finding, Verdict
from doctor_checks.proxy import Kind, Look, NamedProxy
from free_port import free_port
from tests.scripts.doctor_checks.machine import saying, settings, speaking


def answer(status: int, body: str = "", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers, "", body]
    return "\r\n".join(head).encode()


def ready(**document: object) -> bytes:
    return answer(200, json.dumps(document))


ADDON = ready(addon="foundry_compress", version="9.9", mode="balanced", pid=1)


def look_at(says: bytes, tmp_path: Path, credentials: str = "") -> tuple[Look, Finding]:
    with speaking(saying(says)) as port:
        url = f"http://{credentials}127.0.0.1:{port}"
        seen = proxy.look(proxy.name_proxy(settings(tmp_path, HTTPS_PROXY=url), None))
    return seen, proxy.judge(seen)


def test_none_is_no_failure(tmp_path: Path) -> None:
    seen = proxy.look(proxy.name_proxy(settings(tmp_path), None))
    found = proxy.judge(seen)
    assert (found.verdict, found.detail) == (
        Verdict.SKIPPED,
        "no proxy is set here; scripts/claude-foundry starts one",
    )


def test_the_addon_answers(tmp_path: Path) -> None:
    seen, found = look_at(ADDON, tmp_path)
    assert (seen.kind, seen.said, seen.mode) == (Kind.ADDON, "9.9", "balanced")
    assert found.verdict is Verdict.OK
    assert "(HTTPS_PROXY in the environment): the addon 9.9, mode balanced" in found.detail


@pytest.mark.parametrize(("mode", "word"), [("off", "tunnels"), ("observe", "measures")])
def test_an_addon_that_changes_nothing(mode: str, word: str, tmp_path: Path) -> None:
    seen, found = look_at(ready(addon="foundry_compress", version="1", mode=mode), tmp_path)
    assert seen.kind is Kind.ADDON
    assert found.verdict is Verdict.WARNING
    assert word in found.detail
    assert "foundry_mode" in found.remedy


def test_the_addon_on_another_machine_is_known_by_its_refusal(tmp_path: Path) -> None:
    says = answer(403, "foundry.local answers programs on the proxy's own machine only.\n")
    seen, found = look_at(says, tmp_path)
    assert seen.kind is Kind.ADDON
    assert found.verdict is Verdict.OK


def test_nothing_listens(tmp_path: Path) -> None:
    seen = proxy.look(proxy.name_proxy(settings(tmp_path, HTTPS_PROXY=f"http://127.0.0.1:{free_port()}"), None))
    found = proxy.judge(seen)
    assert seen.kind is Kind.SILENT
    assert found.verdict is Verdict.FAILED
    assert "nothing listens there" in found.detail
    assert "mitmdump -s addons/foundry_compress.py" in found.remedy
    assert "unset HTTPS_PROXY" in found.remedy


def test_something_listens_and_says_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        seen = proxy.look(proxy.name_proxy(settings(tmp_path, HTTPS_PROXY=url), None), seconds=0.1)
    assert (seen.kind, seen.said) == (Kind.SILENT, "no answer within 0.1 s")


def test_something_hangs_up(tmp_path: Path) -> None:
    seen, found = look_at(b"", tmp_path)
    assert seen.kind is Kind.SILENT
    assert "hung up" in found.detail


@pytest.mark.parametrize(
    "says",
    [
        answer(502, "<html>"),
        answer(200, "[]"),
        answer(200, json.dumps({"addon": "another"})),
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    ],
)
def test_another_proxy_is_chained_by_the_launcher_and_a_warning(says: bytes, tmp_path: Path) -> None:
    seen, found = look_at(says, tmp_path)
    assert seen.kind is Kind.OTHER
    assert found.verdict is Verdict.WARNING
    assert "scripts/claude-foundry" in found.remedy


def test_a_mitmproxy_without_the_addon(tmp_path: Path) -> None:
    seen, found = look_at(answer(502, "x", "Server: mitmproxy 12.2.3"), tmp_path)
    assert seen.kind is Kind.MITMPROXY
    assert found.verdict is Verdict.FAILED
    assert "-s addons/foundry_compress.py" in found.remedy


def test_another_proxy_that_was_asked_about_is_a_failure() -> None:
    with speaking(saying(answer(502))) as port:
        named = proxy.name_proxy(settings(Path("/nowhere")), f"127.0.0.1:{port}")
        found = proxy.judge(proxy.look(named))
    assert found.verdict is Verdict.FAILED
    assert "(--proxy)" in found.detail


def test_a_proxy_that_wants_a_password(tmp_path: Path) -> None:
    seen, found = look_at(answer(407), tmp_path)
    assert seen.kind is Kind.LOCKED
    assert found.verdict is Verdict.FAILED
    assert "USER:PASSWORD@" in found.remedy
    _, found = look_at(answer(407), tmp_path, "somebody:hunter2@")
    assert found.verdict is Verdict.WARNING
    assert "hunter2" not in found.detail + found.remedy
    assert "somebody" not in found.detail + found.remedy


def test_its_password_is_not_sent(tmp_path: Path) -> None:
    heads: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        heads.append(connection.recv(65536))
        connection.sendall(ADDON)

    with speaking(serve) as port:
        url = f"http://somebody:hunter2@127.0.0.1:{port}"
        assert proxy.look(proxy.name_proxy(settings(tmp_path, HTTPS_PROXY=url), None)).kind is Kind.ADDON
    (head,) = heads
    assert b"authorization" not in head.lower()


@pytest.mark.parametrize("url", ["socks5://somebody:hunter2@127.0.0.1:1", "http://", "http://h:port"])
def test_one_that_cannot_be_used(url: str, tmp_path: Path) -> None:
    seen = proxy.look(proxy.name_proxy(settings(tmp_path, HTTPS_PROXY=url), None))
    found = proxy.judge(seen)
    assert seen.kind is Kind.UNUSABLE
    assert found.verdict is Verdict.FAILED
    assert "hunter2" not in found.detail + found.remedy


def test_one_that_speaks_tls_is_another(tmp_path: Path) -> None:
    seen = proxy.look(proxy.name_proxy(settings(tmp_path, HTTPS_PROXY="https://127.0.0.1:1"), None))
    assert seen.kind is Kind.OTHER


def test_settings_files_beat_the_environment_and_are_named(tmp_path: Path) -> None:
    file = tmp_path / ".claude" / "settings.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"env": {"HTTPS_PROXY": "http://proxy.example:3128"}}))
    named = proxy.name_proxy(settings(tmp_path, HTTPS_PROXY="http://127.0.0.1:1"), None)
    assert named == NamedProxy("http", "proxy.example", 3128, f"HTTPS_PROXY in {file}")
    assert isinstance(named, NamedProxy)
    assert named.address == "proxy.example:3128"


def test_an_ipv6_address_is_written_in_brackets(tmp_path: Path) -> None:
    named = proxy.name_proxy(settings(tmp_path, HTTPS_PROXY="http://[::1]:8080"), None)
    assert isinstance(named, NamedProxy)
    assert (named.host, named.address) == ("::1", "[::1]:8080")


def test_claude_code_is_not_told_of_the_proxy_that_was_asked_about(tmp_path: Path) -> None:
    with speaking(saying(ADDON)) as port:
        url = f"http://127.0.0.1:{port}"
        seen = proxy.look(proxy.name_proxy(settings(tmp_path), url))
    for own, word in (({}, "is not set"), ({"HTTPS_PROXY": "http://a:hunter2@other:1"}, "another (other:1)")):
        found = proxy.judge_client(settings(tmp_path, **own), seen)
        assert found
        assert found.verdict is Verdict.WARNING
        assert word in found.detail
        assert found.remedy == f"set HTTPS_PROXY={url}"
    assert proxy.judge_client(settings(tmp_path, HTTPS_PROXY=url), seen) is None
    assert proxy.judge_client(settings(tmp_path), Look(Kind.NONE)) is None


def test_two_spellings_that_differ(tmp_path: Path) -> None:
    one, other = "http://127.0.0.1:1", "http://127.0.0.1:2"
    assert proxy.judge_spellings(settings(tmp_path, HTTPS_PROXY=one)) is None
    assert proxy.judge_spellings(settings(tmp_path, HTTPS_PROXY=one, https_proxy=one)) is None
    found = proxy.judge_spellings(settings(tmp_path, HTTPS_PROXY=one, https_proxy=other))
    assert found
    assert found.verdict is Verdict.WARNING
