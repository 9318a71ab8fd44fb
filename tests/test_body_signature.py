from __future__ import annotations

import pytest
from mitmproxy.test import tutils

from body_signature import covers_body

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
def test_which_signatures_cover_the_body(authorization: str | None, path: str, expected: bool) -> None:
    request = tutils.treq(path=path.encode(), headers=())
    if authorization is not None:
        request.headers["Authorization"] = authorization
    assert covers_body(request) is expected


def test_the_signature_may_be_any_of_several_headers() -> None:
    fields = ((b"authorization", b"Bearer x"), (b"Authorization", f"AWS4-HMAC-SHA256 {CREDENTIAL}".encode()))
    assert covers_body(tutils.treq(headers=fields))
