from __future__ import annotations

from pathlib import Path

import pytest

from launcher.client_settings import ClientSettings
from launcher.errors import LauncherError
from launcher.foundry_target import FoundryTarget, find, sign_in_note


def settings(variables: dict[str, str], origins: dict[str, str] | None = None) -> ClientSettings:
    return ClientSettings({"CLAUDE_CODE_USE_FOUNDRY": "1", **variables}, origins or {}, frozenset())


@pytest.mark.parametrize(
    ("variables", "target"),
    [
        ({"ANTHROPIC_FOUNDRY_RESOURCE": "My-Org"}, FoundryTarget("my-org.services.ai.azure.com", is_gateway=False)),
        (
            {"ANTHROPIC_FOUNDRY_BASE_URL": "https://x.services.ai.azure.us/anthropic"},
            FoundryTarget("x.services.ai.azure.us", is_gateway=False),
        ),
        (
            {"ANTHROPIC_FOUNDRY_BASE_URL": "https://Gateway.example.com:8443/llm"},
            FoundryTarget("gateway.example.com", is_gateway=True),
        ),
        (
            {"ANTHROPIC_FOUNDRY_BASE_URL": "http://localhost:4000/llm"},
            FoundryTarget("localhost", is_gateway=True, is_plain=True),
        ),
        (
            {"ANTHROPIC_FOUNDRY_BASE_URL": "https://x.services.ai.azure.com.evil.example"},
            FoundryTarget("x.services.ai.azure.com.evil.example", is_gateway=True),
        ),
    ],
)
def test_where_it_goes(variables: dict[str, str], target: FoundryTarget) -> None:
    assert find(settings(variables)) == target


@pytest.mark.parametrize("value", ["1", "true", "TRUE", "yes", "on"])
def test_ways_to_say_yes(value: str) -> None:
    assert find(settings({"CLAUDE_CODE_USE_FOUNDRY": value, "ANTHROPIC_FOUNDRY_RESOURCE": "x"}))


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"CLAUDE_CODE_USE_FOUNDRY": ""}, "set CLAUDE_CODE_USE_FOUNDRY=1"),
        ({"CLAUDE_CODE_USE_FOUNDRY": "0"}, "set CLAUDE_CODE_USE_FOUNDRY=1"),
        ({"CLAUDE_CODE_USE_BEDROCK": "1", "ANTHROPIC_FOUNDRY_RESOURCE": "x"}, "CLAUDE_CODE_USE_BEDROCK is set too"),
        ({}, "set ANTHROPIC_FOUNDRY_RESOURCE to its name"),
        ({"ANTHROPIC_FOUNDRY_RESOURCE": "x.services.ai.azure.com"}, "should be the resource's name alone"),
        ({"ANTHROPIC_FOUNDRY_RESOURCE": "https://x"}, "should be the resource's name alone"),
        ({"ANTHROPIC_FOUNDRY_BASE_URL": "gateway.example.com"}, "should be a URL"),
        ({"ANTHROPIC_FOUNDRY_BASE_URL": "https://"}, "should be a URL"),
        ({"ANTHROPIC_FOUNDRY_BASE_URL": "https://[x"}, "should be a URL"),
        ({"ANTHROPIC_FOUNDRY_BASE_URL": "http://my-resource.openai.azure.com"}, "is plain HTTP"),
    ],
)
def test_what_is_missing_is_one_line(variables: dict[str, str], says: str) -> None:
    with pytest.raises(LauncherError, match=says) as raised:
        find(settings(variables))
    assert "\n" not in str(raised.value)


def test_both_are_refused_and_the_line_says_where_each_is_set() -> None:
    both = {"ANTHROPIC_FOUNDRY_RESOURCE": "x", "ANTHROPIC_FOUNDRY_BASE_URL": "https://x.example"}
    with pytest.raises(
        LauncherError, match=r"RESOURCE \(in the environment\) and .*BASE_URL \(in some/settings.json\)"
    ):
        find(settings(both, {"ANTHROPIC_FOUNDRY_BASE_URL": "some/settings.json"}))


@pytest.mark.parametrize(
    "variables",
    [
        {"ANTHROPIC_FOUNDRY_API_KEY": "k"},
        {"AZURE_CLIENT_ID": "x"},
        {"IDENTITY_ENDPOINT": "x"},
        {"CLAUDE_CODE_SKIP_FOUNDRY_AUTH": "1"},
    ],
)
def test_a_way_to_sign_in_needs_no_note(variables: dict[str, str], tmp_path: Path) -> None:
    assert sign_in_note(settings({"HOME": str(tmp_path), **variables})) == ""


def test_no_way_to_sign_in_is_noted_until_az_login(tmp_path: Path) -> None:
    note = sign_in_note(settings({"HOME": str(tmp_path), "ANTHROPIC_FOUNDRY_API_KEY": ""}))
    assert note.startswith("ANTHROPIC_FOUNDRY_API_KEY is not set")
    assert "az login" in note
    (tmp_path / ".azure").mkdir()
    assert sign_in_note(settings({"HOME": str(tmp_path)})) == ""
