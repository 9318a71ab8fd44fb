from __future__ import annotations

import importlib
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def redirect(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("FOUNDRY_STAND_IN_PORT", "4711")
    monkeypatch.delitem(sys.modules, "demo.redirect", raising=False)
    return importlib.import_module("demo.redirect")


def address_after(redirect: ModuleType, address: Any) -> Any:
    data = SimpleNamespace(server=SimpleNamespace(address=address))
    redirect.server_connect(data)
    return data.server.address


@pytest.mark.parametrize(
    "host",
    [
        "made-up.services.ai.azure.com",
        "MADE-UP.Services.AI.Azure.com",
        "made-up.openai.azure.com",
        "made-up.cognitiveservices.azure.com",
        "made-up.services.ai.azure.us",
        "made-up.openai.azure.cn",
    ],
)
def test_foundry_goes_to_the_stand_in(redirect: ModuleType, host: str) -> None:
    assert address_after(redirect, (host, 443)) == ("127.0.0.1", 4711)


@pytest.mark.parametrize(
    "host", ["example.org", "made-up.services.ai.azure.com.evil.example", "made-up.servicesxai.azure.com", "localhost"]
)
def test_everything_else_goes_where_it_went(redirect: ModuleType, host: str) -> None:
    assert address_after(redirect, (host, 443)) == (host, 443)


def test_a_connection_without_an_address_stays_without(redirect: ModuleType) -> None:
    assert address_after(redirect, None) is None


def test_without_a_port_it_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FOUNDRY_STAND_IN_PORT", raising=False)
    monkeypatch.delitem(sys.modules, "demo.redirect", raising=False)
    with pytest.raises(KeyError, match="FOUNDRY_STAND_IN_PORT"):
        importlib.import_module("demo.redirect")
