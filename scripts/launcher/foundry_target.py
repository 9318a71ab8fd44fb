"""Which Foundry host Claude Code will talk to, or what is missing so that it can."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import host_rules
from launcher.client_settings import ClientSettings
from launcher.errors import LauncherError

__all__ = ["FoundryTarget", "find", "sign_in_note"]

HOW = 'export it, or put it into "env" in ~/.claude/settings.json'
_TRUE = ("1", "true", "yes", "on")
_ENTRA_VARIABLES = ("AZURE_", "IDENTITY_ENDPOINT", "MSI_ENDPOINT")
_RESOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


@dataclass(frozen=True, slots=True)
class FoundryTarget:
    """The host that Claude Code sends its requests to."""

    host: str
    is_gateway: bool
    """True for a host that is not Foundry's own: the addon has to be told of it."""
    is_plain: bool = False
    """A gateway that speaks plain HTTP. Claude Code sends that through HTTPS_PROXY too, whatever HTTP_PROXY says."""


def find(settings: ClientSettings) -> FoundryTarget:
    """Raise LauncherError if Claude Code is not set up for Foundry, or not in a way that it accepts itself."""
    variables = settings.variables
    if not _is_true(variables.get("CLAUDE_CODE_USE_FOUNDRY", "")):
        raise LauncherError(f"Claude Code is not set to use Azure AI Foundry: set CLAUDE_CODE_USE_FOUNDRY=1 ({HOW}).")
    if _is_true(variables.get("CLAUDE_CODE_USE_BEDROCK", "")):
        origin = settings.origin("CLAUDE_CODE_USE_BEDROCK")
        raise LauncherError(f"CLAUDE_CODE_USE_BEDROCK is set too (in {origin}), and Claude Code prefers it: unset it.")
    resource = variables.get("ANTHROPIC_FOUNDRY_RESOURCE", "").strip()
    base_url = variables.get("ANTHROPIC_FOUNDRY_BASE_URL", "").strip()
    if resource and base_url:
        raise LauncherError(
            f"ANTHROPIC_FOUNDRY_RESOURCE (in {settings.origin('ANTHROPIC_FOUNDRY_RESOURCE')}) and "
            f"ANTHROPIC_FOUNDRY_BASE_URL (in {settings.origin('ANTHROPIC_FOUNDRY_BASE_URL')}) are both set, "
            "and Claude Code refuses that: unset one of them."
        )
    if resource:
        return _of_resource(resource)
    if base_url:
        return _of_base_url(base_url)
    raise LauncherError(
        "Claude Code does not know your Foundry resource: set ANTHROPIC_FOUNDRY_RESOURCE to its name, the first part "
        f"of NAME.services.ai.azure.com ({HOW}). Behind a gateway, set ANTHROPIC_FOUNDRY_BASE_URL instead."
    )


def sign_in_note(settings: ClientSettings) -> str:
    """One line if there is neither a key nor anything that points to an Entra sign-in; else nothing.

    Not an error: a virtual machine's managed identity, for one, shows nowhere.
    """
    variables = settings.variables
    key = variables.get("ANTHROPIC_FOUNDRY_API_KEY") or _is_true(variables.get("CLAUDE_CODE_SKIP_FOUNDRY_AUTH", ""))
    by_variable = any(name.startswith(_ENTRA_VARIABLES) for name in variables)
    by_command = (Path(variables.get("HOME", "~")).expanduser() / ".azure").exists()
    if key or by_variable or by_command:
        return ""
    return (
        "ANTHROPIC_FOUNDRY_API_KEY is not set, and nothing here points to an Entra sign-in: if Claude Code is refused, "
        f"set the key ({HOW}) or run az login."
    )


def _is_true(value: str) -> bool:
    return value.strip().lower() in _TRUE


def _of_resource(resource: str) -> FoundryTarget:
    if not _RESOURCE_NAME.fullmatch(resource):
        raise LauncherError(
            f"ANTHROPIC_FOUNDRY_RESOURCE is {resource!r}, but should be the resource's name alone: "
            "my-resource for https://my-resource.services.ai.azure.com."
        )
    return FoundryTarget(f"{resource.lower()}.services.ai.azure.com", is_gateway=False)


def _of_base_url(base_url: str) -> FoundryTarget:
    try:
        parts = urlsplit(base_url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https"):
        raise LauncherError(
            f"ANTHROPIC_FOUNDRY_BASE_URL is {base_url!r}, but should be a URL such as "
            "https://my-resource.services.ai.azure.com/anthropic."
        )
    target = FoundryTarget(host, is_gateway=not host_rules.is_foundry_host(host), is_plain=parts.scheme == "http")
    if target.is_plain and not target.is_gateway:
        raise LauncherError(
            f"ANTHROPIC_FOUNDRY_BASE_URL is plain HTTP ({host}), so your key would go over the network in the clear: "
            "give an https:// URL."
        )
    return target
