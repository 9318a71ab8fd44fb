from __future__ import annotations

import pytest

from launcher.corporate_proxy import CorporateProxy, find
from launcher.errors import LauncherError


@pytest.mark.parametrize(
    ("given", "url", "credentials"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128", None),
        ("proxy.example:3128", "http://proxy.example:3128", None),
        ("http://proxy.example", "http://proxy.example:80", None),
        ("https://proxy.example/", "https://proxy.example:443", None),
        ("http://user:pa%40ss%3Aword@proxy.example:8080", "http://proxy.example:8080", "user:pa@ss:word"),
        ("http://user@proxy.example:8080", "http://proxy.example:8080", "user:"),
        ("http://[fd00::1]:8080", "http://[fd00::1]:8080", None),
    ],
)
def test_forms(given: str, url: str, credentials: str | None) -> None:
    assert find({"HTTPS_PROXY": given}) == CorporateProxy(url, credentials)


def test_none() -> None:
    assert find({}) is None
    assert find({"HTTPS_PROXY": "", "https_proxy": " "}) is None


def test_the_first_that_is_set_counts() -> None:
    variables = {
        "http_proxy": "http://d:1",
        "HTTP_PROXY": "http://c:1",
        "ALL_PROXY": "http://b:1",
        "https_proxy": "http://a:1",
    }
    for host in "abcd":
        found = find(variables)
        assert found == CorporateProxy(f"http://{host}:1", None)
        variables = {name: value for name, value in variables.items() if host not in value.removeprefix("http")}


@pytest.mark.parametrize(
    "given", ["socks5://user:secret@proxy.example:1080", "http://user:secret@:80", "http://secret:x"]
)
def test_what_cannot_be_chained_is_said_without_the_password(given: str) -> None:
    with pytest.raises(LauncherError, match="HTTPS_PROXY names a proxy that cannot be chained") as raised:
        find({"HTTPS_PROXY": given})
    assert "secret" not in str(raised.value)
