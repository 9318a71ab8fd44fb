"""Whether a request is signed so that its body must arrive as it is.

AWS's Signature Version 4 covers a hash of the body, and so does 4a: the service refuses a request with another body.
The signature stands in the Authorization header, or in the query of a URL that was signed beforehand. Source: "AWS
Signature Version 4 for API requests" in the IAM User Guide.
"""

from __future__ import annotations

from mitmproxy.http import Request

__all__ = ["covers_body"]

_SCHEMES = ("aws4-hmac-sha256", "aws4-ecdsa-p256-sha256")
_IN_QUERY = "x-amz-signature="


def covers_body(request: Request) -> bool:
    """Whether the body of `request` is signed."""
    given = [value.lstrip().lower() for value in request.headers.get_all("authorization")]
    return any(value.startswith(_SCHEMES) for value in given) or _IN_QUERY in request.path.lower()
