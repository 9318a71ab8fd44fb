from __future__ import annotations

import json

import pytest
from mitmproxy.test import tutils

from rewriting.body_signature import Cover, cover

CREDENTIAL = "Credential=AKID/20261125/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=00"


@pytest.mark.parametrize(
    ("authorization", "path", "expected"),
    [
        (f"AWS4-HMAC-SHA256 {CREDENTIAL}", "/model/a/invoke", True),
        (f"  aws4-hmac-sha256 {CREDENTIAL}", "/model/a/invoke", True),
        (f"AWS4-ECDSA-P256-SHA256 {CREDENTIAL}", "/model/a/invoke", True),
        (None, "/model/a/invoke?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00", True),
        (None, "/model/a/invoke?x-amz-signature=00", True),
        ("Bearer bedrock-api-key-made-up", "/model/a/invoke", False),
        ("Basic AWS4-HMAC-SHA256", "/model/a/invoke", False),
        (None, "/model/a/invoke", False),
        ("", "/model/x-amz-signature/invoke", False),
    ],
)
def test_which_signatures_of_aws_cover_the_body(authorization: str | None, path: str, expected: bool) -> None:
    request = tutils.treq(path=path.encode(), headers=())
    if authorization is not None:
        request.headers["Authorization"] = authorization
    assert cover(request) is (Cover.AWS_SIGNATURE if expected else None)


def test_the_signature_may_be_any_of_several_headers() -> None:
    fields = ((b"authorization", b"Bearer x"), (b"Authorization", f"AWS4-HMAC-SHA256 {CREDENTIAL}".encode()))
    assert cover(tutils.treq(headers=fields)) is Cover.AWS_SIGNATURE


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Content-Digest: sha-256=:AA==:", True),
        ("repr-digest: sha-512=:AA==:", True),
        ("Digest: SHA-256=AA==", True),
        ("Content-MD5: AA==", True),
        ("Want-Content-Digest: sha-256=1", False),  # of the answer
        ("X-Digest: AA==", False),
    ],
)
def test_which_headers_have_a_hash_of_the_body(header: str, expected: bool) -> None:
    name, value = header.encode().split(b": ")
    assert cover(tutils.treq(headers=((name, value),))) is (Cover.DIGEST if expected else None)


LINE = "x-anthropic-billing-header: cc_version=2.1.197.db4; cc_entrypoint=sdk-cli;"


def _claude_code(text: str) -> bytes:
    body = {"messages": [], "system": [{"type": "text", "text": text}, {"type": "text", "text": "You are."}]}
    return json.dumps(body, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (_claude_code(f"{LINE} cch=a7700;"), True),
        (_claude_code(f"{LINE} cch=0a000; cc_workload=cron;"), True),
        (_claude_code(f"{LINE} cch=00000;"), False),  # as for Vertex AI
        (_claude_code(LINE), False),  # as for Foundry and Bedrock
        (_claude_code(f"{LINE} scch=a7700;"), False),
        (_claude_code("You are."), False),
        (json.dumps({"content": _claude_code(f"{LINE} cch=a7700;").decode()}).encode(), False),
        (b"", False),
        (None, False),
    ],
)
def test_which_hash_of_claude_codes_covers_the_body(body: bytes | None, expected: bool) -> None:
    request = tutils.treq(headers=())
    request.raw_content = body
    assert cover(request) is (Cover.CLAUDE_CODE_HASH if expected else None)
    if body:
        request.headers["content-encoding"] = "gzip"
        request.content = body
        assert cover(request) is (Cover.CLAUDE_CODE_HASH if expected else None)


def test_a_body_that_cannot_be_read_is_not_covered() -> None:
    assert cover(tutils.treq(headers=((b"content-encoding", b"gzip"),), content=b"no gzip")) is None
