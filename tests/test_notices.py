from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from notices import Notices, where_it_broke
from rewriting.body_signature import Cover


@pytest.mark.parametrize(
    ("tell", "part"),
    [
        (
            lambda notices: notices.client_refuses_certificate("h.example", "unknown ca"),
            "A client refused this proxy's",
        ),
        (lambda notices: notices.client_refuses_certificate("h.example", "connection closed"), "hung up when it saw"),
        (
            lambda notices: notices.foundry_out_of_reach("h.example", "[Errno 111] no"),
            "could not reach h.example: [Errno",
        ),
        (lambda notices: notices.unknown_format("h.example", "/a?key=secret"), "A request to h.example has a path"),
        (lambda notices: notices.streamed_body(), "leave that option out"),
        (lambda notices: notices.region_not_named("h.example", "vertex:us-x1"), "once vertex:us-x1 stands in"),
        (lambda notices: notices.signed_body("h.example", Cover.AWS_SIGNATURE), "AWS_BEARER_TOKEN_BEDROCK"),
        (
            lambda notices: notices.signed_body("h.example", Cover.CLAUDE_CODE_HASH),
            "A request to h.example passed as it was, because Claude Code wrote",
        ),
        (lambda notices: notices.signed_body("h.example", Cover.DIGEST), "because a header has a hash of its body"),
        (lambda notices: notices.unreadable_encoding("snappy"), "'snappy'"),
        (lambda notices: notices.too_large(), "64 MB"),
        (
            lambda notices: notices.failure("The engine", "ValueError at x.py:1"),
            "The engine failed (ValueError at x.py:1)",
        ),
        (
            lambda notices: notices.result_left_alone("IndexError"),
            "could not be rewritten and passed as it was (IndexError)",
        ),
        (lambda notices: notices.only_other_hosts(3), "3 connection(s)"),
        (
            lambda notices: notices.nobody_came("HTTPS_PROXY=http://h:1"),
            "HTTPS_PROXY=http://h:1 and NODE_EXTRA_CA_CERTS=/certs/mitmproxy-ca-cert.pem",
        ),
        (lambda notices: notices.nobody_came("BASE_URL=http://h:1"), "with BASE_URL=http://h:1"),
        (lambda notices: notices.say("an option is in the way"), "an option is in the way"),
    ],
)
def test_each_is_said_once_in_one_plain_line(
    tell: Callable[[Notices], None], part: str, caplog: pytest.LogCaptureFixture
) -> None:
    notices = Notices("/certs/mitmproxy-ca-cert.pem")
    with caplog.at_level(logging.INFO):
        tell(notices)
        tell(notices)
    (record,) = caplog.records
    assert record.levelno >= logging.WARNING
    assert part in record.getMessage()
    assert record.getMessage().isprintable()
    assert "secret" not in record.getMessage()


def test_a_refusing_client_is_told_every_variable_and_the_file(caplog: pytest.LogCaptureFixture) -> None:
    Notices("/certs/ca.pem").client_refuses_certificate("h.example", "unknown ca")
    for part in ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "/certs/ca.pem", "h.example"):
        assert part in caplog.text


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        ("Certificate verify failed: self-signed certificate", "ssl_verify_upstream_trusted_ca"),
        ("Certificate verify failed: hostname mismatch", "use the resource's public name"),
        ("Upstream proxy h:1 refused HTTP CONNECT request: 407 Proxy Authentication Required", "upstream_auth"),
        ("Upstream proxy h:1 refused HTTP CONNECT request: 403 Forbidden", None),
        ("Connect call failed", None),
    ],
)
def test_what_may_help_is_named_and_nothing_else(
    error: str, remedy: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    Notices().foundry_out_of_reach("h.example", error)
    remedies = ("ssl_verify_upstream_trusted_ca", "use the resource's public name", "upstream_auth")
    assert [one for one in remedies if one in caplog.text] == ([remedy] if remedy else [])


def test_what_comes_from_outside_cannot_break_the_line(caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices()
    notices.unknown_format("h.example", "/a\nb\x1b[31m\u2028" + "x" * 1000)
    notices.unreadable_encoding("a\r\nb" + "x" * 1000)
    notices.foundry_out_of_reach("h.example", "a\r\nb" + "x" * 1000)
    for record in caplog.records:
        assert record.getMessage().isprintable()
        assert len(record.getMessage()) < 400


def test_different_failures_are_each_told(caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices()
    notices.failure("request", "ValueError at a.py:1")
    notices.failure("request", "ValueError at b.py:1")
    assert len(caplog.records) == 2


def test_a_failure_is_told_by_type_and_place_and_never_by_its_message() -> None:
    try:
        int("secret")
    except ValueError as error:
        told = where_it_broke(error)
    assert told.startswith("ValueError at test_notices.py:")
    assert where_it_broke(ValueError("secret")) == "ValueError"


@pytest.mark.parametrize(
    ("page", "host", "covered_by"),
    [
        ("bedrock", "bedrock-runtime.us-east-1.amazonaws.com", Cover.AWS_SIGNATURE),
        ("anthropic-api", "api.anthropic.com", Cover.CLAUDE_CODE_HASH),
    ],
)
def test_the_pages_show_the_lines_that_come(page: str, host: str, covered_by: Cover) -> None:
    notices = Notices()
    notices.signed_body(host, covered_by)
    text = (Path(__file__).resolve().parents[1] / "docs" / "clients" / f"{page}.md").read_text(encoding="utf-8")
    assert f"```\n{notices.said()[0]}\n```" in text
