"""One session, step by step: what is set up, what is missing, the proxy, the client, what was saved."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence

import host_rules
import provider_hosts
from configuring import company_policy
from connecting import certificate_authority
from demo.stand_in import StandIn
from launcher import child_environment, client, client_settings, corporate_proxy, foundry_target, no_proxy, places
from launcher.closing_line import closing_line
from launcher.errors import LauncherError
from launcher.places import OPTION_PREFIX
from launcher.proxy_process import PROJECT, ProxyProcess, ProxySettings, session_directory

__all__ = ["run_claude_code", "run_demo"]

CONFDIR = places.confdir(os.environ)
_OPTIONS = (
    *("mode", "memory_mb", "work_mb", "budget_ms", "cache_ttl", "state_dir", "state_url", "recent_tokens"),
    *("least_tokens", "holdout", "keep_days", "keep_mb"),
)
_BASE_URL = "ANTHROPIC_FOUNDRY_BASE_URL"


def run_claude_code(arguments: Sequence[str]) -> int:
    """Run Claude Code with `arguments`; return its exit code.

    Raises LauncherError or AuthorityError if it cannot be started, or not through the proxy.
    """
    settings = client_settings.read(os.environ, arguments)
    variables = settings.variables
    target = foundry_target.find(settings)
    executable = client.find(os.environ)
    extra_hosts = _extra_hosts(target)
    exceptions = no_proxy.repair(variables, target.host)
    upstream = None if exceptions.everything_was_direct else corporate_proxy.find(variables)
    providers = _providers()
    authority = certificate_authority.ensure(CONFDIR, host_rules.Scope(tuple(extra_hosts), providers).names)
    child_environment.refuse_managed(settings, exceptions, authority.certificate_path)
    for note in (authority.notice, foundry_target.sign_in_note(settings)):
        if note:
            _say(note)
    if exceptions.dropped:
        _say(
            f"NO_PROXY would lead Foundry past the proxy: Claude Code gets it without {', '.join(exceptions.dropped)}."
        )

    with session_directory() as directory:
        trust = child_environment.write_trust_files(variables, authority.certificate_path, directory)
        asked = ProxySettings(
            confdir=CONFDIR,
            trusted_upstream=trust.upstream,
            options={
                **_options(),
                "foundry_extra_hosts": ",".join(extra_hosts),
                "foundry_providers": ",".join(providers),
            },
            # The client's base URL is among the extra hosts, wherever it was set; this shell's may be another.
            variables={_BASE_URL: ""},
            corporate_proxy=upstream,
            direct_host=target.host if exceptions.dropped else None,
        )
        proxy = ProxyProcess.start(asked, directory)
        if sys.stderr.isatty():  # a log is no place for the token
            _say(
                f"http://foundry.local/ through {proxy.address} shows what is saved; to change the mode: "
                f"scripts/mode MODE --proxy {proxy.address}, with the token {asked.token}"
            )
        ours = {**trust.variables, **child_environment.proxy_variables(proxy.address, exceptions)}
        argv = child_environment.with_overriding_settings(arguments, settings, ours, directory)
        return _run([executable, *argv], {**os.environ, **ours}, proxy)


def run_demo() -> int:
    """Run the demo's client against the demo's Foundry; the rest is as with Claude Code. Return its exit code."""
    authority = certificate_authority.ensure(CONFDIR)
    with session_directory() as directory, StandIn() as stand_in:
        proxy = ProxyProcess.start(
            ProxySettings(
                confdir=CONFDIR,
                trusted_upstream=stand_in.ca_path,
                # Every demo is the same conversation: what is remembered of the last one is not for the next.
                options={**_options(), "foundry_state_dir": str(directory / "state")},
                scripts=[PROJECT / "scripts" / "demo" / "redirect.py"],
                variables={_BASE_URL: "", "FOUNDRY_STAND_IN_PORT": str(stand_in.port)},
            ),
            directory,
        )
        ours = {
            "CLAUDE_CODE_USE_FOUNDRY": "1",
            "ANTHROPIC_FOUNDRY_RESOURCE": "demo",
            "ANTHROPIC_FOUNDRY_API_KEY": "demo",
            "DEMO_STAND_IN_PORT": str(stand_in.port),
            **child_environment.write_trust_files({}, authority.certificate_path, directory).variables,
            **child_environment.proxy_variables(proxy.address, no_proxy.repair({}, "")),
        }
        code = f"import sys; sys.path[:0] = {[str(PROJECT / 'scripts'), str(PROJECT / 'addons')]!r}; "
        code += "from demo.client import main; sys.exit(main())"
        return _run([sys.executable, "-I", "-c", code], {**os.environ, **ours}, proxy)


def _run(argv: Sequence[str], environment: Mapping[str, str], proxy: ProxyProcess) -> int:
    stats = None
    try:
        code = client.run(argv, environment)
        stats = proxy.ask("/api/stats")
    finally:
        notices = proxy.notices()
        users = proxy.still_used()
        ended_early = proxy.release(answered=stats is not None)
    for notice in dict.fromkeys(notices):
        # That nothing has come yet was true when it was said.
        if not (notice.startswith("Nothing") and stats and stats.get("requests")):
            _say(notice)
    if ended_early:
        _say(ended_early)
    else:
        _say(closing_line(stats))
    if users:
        names = ", ".join(f"{name} ({pid})" for pid, name in sorted(users.items())[:3])
        _say(f"still running and using the proxy, which ends with them: {names}{' …' if len(users) > 3 else ''}")  # noqa: PLR2004
    return code


def _extra_hosts(target: foundry_target.FoundryTarget) -> list[str]:
    named = re.split(r"[,\s]+", os.environ.get(f"{OPTION_PREFIX}EXTRA_HOSTS", ""))
    hosts = []
    for given in filter(None, named):
        host = host_rules.named_host(given)
        if not host:  # found out here, before the certificate authority is made to permit it
            raise LauncherError(
                f"{OPTION_PREFIX}EXTRA_HOSTS: {given!r} is not possible; allowed are {host_rules.NAMED_HOSTS}."
            )
        hosts.append(host)
    policy = company_policy.in_force()
    if policy and (refused := policy.refused_host(f"{OPTION_PREFIX}EXTRA_HOSTS", hosts)):
        raise LauncherError(f"{refused}.")
    if target.is_gateway:
        if policy and (refused := policy.refused_host(_BASE_URL, [target.host])):
            raise LauncherError(f"{refused}.")
        hosts.append(target.host)
    if policy:
        hosts += policy.extra_hosts
    return list(dict.fromkeys(hosts))


def _providers() -> tuple[str, ...]:
    variable = f"{OPTION_PREFIX}PROVIDERS"
    providers = []
    for given in filter(None, re.split(r"[,\s]+", os.environ.get(variable, ""))):
        provider = provider_hosts.named_provider(given)
        if not provider:
            raise LauncherError(f"{variable}: {given!r} is not possible; allowed are {provider_hosts.NAMED_PROVIDERS}.")
        providers.append(provider)
    policy = company_policy.in_force()
    if policy and (refused := policy.refused_provider(variable, providers)):
        raise LauncherError(f"{refused}.")
    return tuple(dict.fromkeys(providers))


def _options() -> dict[str, str]:
    """The addon's options that this shell sets. Others' FOUNDRY_ variables exist, so ours have a longer name."""
    given = {name: os.environ.get(OPTION_PREFIX + name.upper()) for name in _OPTIONS}
    return {f"foundry_{name}": value for name, value in given.items() if value}


def _say(line: str) -> None:
    print(f"claude-foundry: {line}", file=sys.stderr, flush=True)
