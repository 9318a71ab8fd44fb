"""Whether a request says something of its body that must stay true, so that the body must arrive as it is.

AWS's Signature Version 4 covers a hash of the body, and so does 4a: the service refuses a request with another body.
The signature stands in the Authorization header, or in the query of a URL that was signed beforehand. Source: "AWS
Signature Version 4 for API requests" in the IAM User Guide.

Any client may send a hash of the body in a header (`Content-Digest` and `Repr-Digest` of RFC 9530, the older `Digest`
and `Content-MD5`), and may have signed that header, so that nobody else can make it good.

Claude Code writes a hash of the body into the body itself when it talks to api.anthropic.com, as `cch` in a line of the
system prompt (seen on the wire with 2.1.197: it is another in each request). What the service does where the hash does
not fit is not documented, so nobody should find out by this proxy. With CLAUDE_CODE_ATTRIBUTION_HEADER=0 it leaves that
line out; for Vertex AI it writes zeros there, and for others no `cch`.
"""

from __future__ import annotations

import re
from enum import Enum

from mitmproxy.http import Request

from rewriting.request_content import TooLargeError, content_of

__all__ = ["Cover", "cover"]


class Cover(Enum):
    """What covers a body."""

    AWS_SIGNATURE = 1
    CLAUDE_CODE_HASH = 2
    DIGEST = 3


_SCHEMES = ("aws4-hmac-sha256", "aws4-ecdsa-p256-sha256")
_DIGESTS = ("content-digest", "repr-digest", "digest", "content-md5")
_IN_QUERY = "x-amz-signature="
_LINE = (
    b'"text":"x-anthropic-billing-header:'  # within a text, as in a file that a tool has read, its quotes are escaped
)
_HASH = re.compile(rb'[^"\\]*\bcch=(?!0+\b)')


def cover(request: Request) -> Cover | None:
    """What covers the body of `request`, if anything does."""
    given = [value.lstrip().lower() for value in request.headers.get_all("authorization")]
    if any(value.startswith(_SCHEMES) for value in given) or _IN_QUERY in request.path.lower():
        return Cover.AWS_SIGNATURE
    if any(name in request.headers for name in _DIGESTS):
        return Cover.DIGEST
    try:
        body = content_of(request) or b""
    except (TooLargeError, ValueError):
        return None  # nobody will look into it
    place = body.find(_LINE)
    return Cover.CLAUDE_CODE_HASH if place >= 0 and _HASH.match(body, place + len(_LINE)) else None
