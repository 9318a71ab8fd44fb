"""What Claude Code and the commands that it runs find in their environment. Nobody else gets these variables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from launcher import trust
from launcher.client_settings import ClientSettings, option_value, parse_json_object
from launcher.errors import LauncherError
from launcher.no_proxy import NoProxy

__all__ = ["TrustFiles", "proxy_variables", "refuse_managed", "with_overriding_settings", "write_trust_files"]


@dataclass(frozen=True, slots=True)
class TrustFiles:
    """The bundles of one session."""

    variables: Mapping[str, str]
    """For the client and its children."""
    upstream: Path
    """What our proxy checks Foundry's own certificate against: all that Claude Code itself would trust."""


def write_trust_files(variables: Mapping[str, str], certificate: Path, directory: Path) -> TrustFiles:
    """Add the authority's `certificate` to everything that is trusted so far, in bundles in `directory`.

    Claude Code needs NODE_EXTRA_CA_CERTS only. The others are for programs that it runs and that talk to Foundry
    themselves, such as the application that is being worked on: those connections are decrypted too. Each of these
    variables *replaces* what a program trusts, so each bundle holds what the program would have trusted without it,
    and where that cannot be found out the variable is left alone.
    """
    ours = certificate.read_bytes()
    given = trust.read(variables.get("NODE_EXTRA_CA_CERTS"))
    node = certificate
    if given and ours not in given:
        node = trust.write_bundle(directory / "node-extra-ca.pem", [given, ours])
    elif given:  # a bundle of ours already, with a company's in it perhaps
        node = Path(variables["NODE_EXTRA_CA_CERTS"])
    result = {"NODE_EXTRA_CA_CERTS": str(node)}
    system = trust.system(variables)
    if system:
        result["SSL_CERT_FILE"] = str(trust.write_bundle(directory / "ca-bundle.pem", [system, ours]))
        result["REQUESTS_CA_BUNDLE"] = result["SSL_CERT_FILE"]
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if bundle := trust.read(variables.get(name)):
            result[name] = str(trust.write_bundle(directory / f"{name.lower()}.pem", [bundle, ours]))
    upstream = trust.write_bundle(directory / "upstream-ca.pem", [trust.mozilla(), system, given])
    return TrustFiles(result, upstream)


def proxy_variables(address: str, no_proxy: NoProxy) -> dict[str, str]:
    """The variables that lead to our proxy at `address`, in both spellings that programs read."""
    return {
        "HTTPS_PROXY": address,
        "https_proxy": address,
        "NO_PROXY": no_proxy.value,
        "no_proxy": no_proxy.value,
    }


def refuse_managed(settings: ClientSettings, no_proxy: NoProxy, certificate: Path) -> None:
    """Raise LauncherError if managed settings, which nothing overrides, would lead past our proxy."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        if name in settings.managed:
            raise LauncherError(
                f"{settings.origin(name)} sets {name}, and nothing overrides managed settings: "
                "ask your administrator to take it out, and set it in the environment instead; it will be chained."
            )
    for name in ("NO_PROXY", "no_proxy"):
        if name in settings.managed and no_proxy.dropped:
            raise LauncherError(
                f"{settings.origin(name)} sets {name} with {', '.join(no_proxy.dropped)}, so Foundry would be reached "
                "past the proxy, and nothing overrides managed settings: ask your administrator to take that out."
            )
    name = "NODE_EXTRA_CA_CERTS"
    if name in settings.managed:
        trusted = trust.read(settings.variables[name]) or b""
        if certificate.read_bytes().strip() not in trusted:
            raise LauncherError(
                f"{settings.origin(name)} sets {name}, and nothing overrides managed settings: "
                f"ask your administrator to add {certificate} to {settings.variables[name]}."
            )


def with_overriding_settings(
    arguments: Sequence[str], settings: ClientSettings, variables: Mapping[str, str], directory: Path
) -> list[str]:
    """`arguments`, and ours for those `variables` that a settings file of the user's would set otherwise.

    Claude Code prefers the `env` blocks of its settings to the environment, and the settings that --settings names
    to its files. So those few are named in a file of the session; the user's own files stay as they are.
    """
    overridden = {name: value for name, value in variables.items() if name in settings.origins}
    for name in settings.managed:
        overridden.pop(name, None)
    if not overridden:
        return list(arguments)
    given = option_value(arguments, "--settings")
    merged = parse_json_object(given, Path.cwd()) if given is not None else {}
    block = merged.get("env")
    merged["env"] = {**(block if isinstance(block, dict) else {}), **overridden}
    file = directory / "settings.json"
    file.write_text(json.dumps(merged), encoding="utf-8")
    return ["--settings", str(file), *_without_option(arguments, "--settings")]


def _without_option(arguments: Sequence[str], option: str) -> list[str]:
    rest = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":
            rest += [argument, *remaining]
        elif argument == option:
            next(remaining, None)
        elif not argument.startswith(option + "="):
            rest.append(argument)
    return rest
