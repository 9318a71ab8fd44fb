"""Where tokens come from, as a script for a RecordingOrigin: Entra's token endpoint and a virtual machine's."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from tests.e2e.recording_origin import Received

__all__ = ["LOGIN", "MACHINE", "TOKEN", "SignIn"]

LOGIN = "login.microsoftonline.com"
MACHINE = "169.254.169.254"
TOKEN = "made-up-token"
_PATIENCE = 60.0  # seconds, fewer than tests wait: whoever has the first half late gets no other


class SignIn:
    """Answers each request with a token; of a virtual machine's one half, and the rest once `go_on` is set."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def __call__(self, received: Received, send: Callable[[bytes], None]) -> None:
        document = {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": TOKEN}
        body = json.dumps(document).encode()
        send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        half = len(body) // 2
        send(body[:half])
        if b"/metadata/identity/" not in received.head or self.go_on.wait(_PATIENCE):
            send(body[half:])
