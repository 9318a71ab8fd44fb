"""The command line of scripts/service."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from connecting.certificate_authority import AuthorityError
from doctor_checks import proxy
from launcher import client_settings
from launcher.errors import LauncherError
from launcher.proxy_process import START_LIMIT
from service_units import next_hop, traces, trial
from service_units.address import DEFAULT_PORT
from service_units.description import Service, describe, inherited
from service_units.manager import Manager
from service_units.managers import of_this_machine

__all__ = ["main"]

CANNOT = 2
NOT_ANSWERING = 1
INTERRUPTED = 130

_DESCRIPTION = """\
The proxy as a service of your own: it runs whenever you are logged in, on 127.0.0.1, without a client.

  install    makes it, starts it and waits until it answers; again: with what you say now
  status     whether it is installed, running and answering; exit code 1 if nothing answers
  uninstall  stops it and takes it away
  run        runs the proxy here, in the foreground, without a service: for containers and build machines

scripts/claude-foundry --print-env says what a client needs to go through it."""
_EPILOG = """\
The variables of claude-foundry (FOUNDRY_COMPRESS_…), a company's proxy in HTTPS_PROXY and certificates in
NODE_EXTRA_CA_CERTS or SSL_CERT_FILE are taken from this shell and from Claude Code's settings when it is installed."""


def main(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Return the exit code: 0; 1 if the proxy does not answer; 2 with one line on standard error if it cannot be."""
    options = _parser().parse_args(arguments)
    act: Callable[[argparse.Namespace, Mapping[str, str]], int] = options.act
    try:
        return act(options, environment)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (LauncherError, AuthorityError, OSError) as error:
        print(f"service: {' '.join(str(error).split())}", file=sys.stderr)
        return CANNOT


def _install(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    manager = of_this_machine(environment)
    manager.check()
    before = manager.read()
    port = options.port or (before.port if before else DEFAULT_PORT)
    service, upstream = describe(_settings(environment), port, options.mode, before)
    seen = trial.answer_at(port)
    if trial.is_taken(port) and (before is None or before.port != port):
        raise LauncherError(f"somebody else listens at 127.0.0.1:{port} already: name another with --port.")
    if manager.holds(service) and seen.kind is proxy.Kind.ADDON:
        print(f"Already installed, and answering at 127.0.0.1:{port}; nothing was changed.")
        return 0
    next_hop.keep(service.environment, upstream)
    try:
        trial.try_out(service, inherited(environment))
    except LauncherError:
        if before is None:
            traces.remove_own(service)
        raise
    manager.write(service)
    for line in manager.start():
        print(f"service: {line}", file=sys.stderr)
    return _say_whether_it_came_up(manager, service)


def _say_whether_it_came_up(manager: Manager, service: Service) -> int:
    seen = trial.wait_for_answer(service.port, START_LIMIT, lambda: manager.state().is_over)
    if seen.kind is not proxy.Kind.ADDON:
        print(
            f"service: installed, but the proxy does not answer ({manager.name}: {manager.state().said}); "
            f"`{manager.log_hint}` says why.",
            file=sys.stderr,
        )
        return NOT_ANSWERING
    print(f"Installed, and answering at 127.0.0.1:{service.port} in mode {seen.mode}: {manager.file}")
    print('Lead a client there: eval "$(scripts/claude-foundry --print-env sh)", or docs/service.md.')
    return 0


def _status(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    manager = of_this_machine(environment)
    service = manager.read()
    port = options.port or (service.port if service else DEFAULT_PORT)
    seen = trial.wait_for_answer(port, options.wait) if options.wait else trial.answer_at(port)
    if service:
        print(f"installed  {manager.file}")
        print(f"running    {manager.name}: {manager.state().said}")
    else:
        print("installed  no")
    if seen.kind is proxy.Kind.ADDON:
        print(f"answering  http://127.0.0.1:{port}, Foundry Compress {seen.said}, mode {seen.mode}")
        return 0
    what = seen.said or ("a mitmproxy without the addon" if seen.kind is proxy.Kind.MITMPROXY else "another proxy")
    print(f"answering  no: 127.0.0.1:{port}, {what}")
    if service:
        print(f"log        {manager.log_hint}")
    return NOT_ANSWERING


def _uninstall(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    manager = of_this_machine(environment)
    before = manager.read()
    # Where it is not installed, what this shell says is where things would lie.
    service = before or describe(_settings(environment), DEFAULT_PORT, None)[0]
    taken = manager.remove()
    traces.remove_own(service)
    for file in taken:
        print(f"Removed {file}")
    if not taken:
        print("It was not installed.")
    if options.purge:
        for what, where in traces.kept(service):
            print(f"Removed {what}: {where}")
        traces.purge(service)
    elif kept := traces.kept(service):
        for what, where in kept:
            print(f"Kept {what}: {where}")
        print("scripts/service uninstall --purge removes these too.")
    for line in _still_led_here(client_settings.read(environment), service.port):
        print(f"service: {line}", file=sys.stderr)
    return 0


def _settings(environment: Mapping[str, str]) -> client_settings.ClientSettings:
    return client_settings.read(environment, client_settings.USERS_OWN)


def _still_led_here(settings: client_settings.ClientSettings, port: int) -> list[str]:
    """A client that is still led to the proxy reaches Foundry no longer."""
    names = [name for name in ("HTTPS_PROXY", "https_proxy") if settings.variables.get(name, "").endswith(f":{port}")]
    origins = dict.fromkeys(settings.origin(name) for name in names)
    return [f"{origin} still leads Claude Code to 127.0.0.1:{port}: take HTTPS_PROXY out." for origin in origins]


def _run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from service_units import running  # noqa: PLC0415 - it loads mitmproxy, which the others need not wait for

    return running.run(options.port or DEFAULT_PORT, environment, quiet=options.quiet)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "service", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="install|status|uninstall|run")

    def command(name: str, act: Callable[[argparse.Namespace, Mapping[str, str]], int]) -> argparse.ArgumentParser:
        added = commands.add_parser(name)
        added.set_defaults(act=act)
        return added

    port_help = f"where it listens on 127.0.0.1 (default: as installed, else {DEFAULT_PORT})"
    installing, showing, running_here = command("install", _install), command("status", _status), command("run", _run)
    for added in (installing, showing, running_here):
        added.add_argument("--port", type=int, metavar="N", help=port_help)
    running_here.add_argument("--quiet", action="store_true", help="say only what is wrong")
    installing.add_argument("--mode", metavar="M", help="off, observe, lossless or balanced")
    showing.add_argument("--wait", type=float, metavar="SECONDS", help="until it answers, so long at most")
    removing = command("uninstall", _uninstall)
    removing.add_argument("--purge", action="store_true", help="the ledger, bundles and authority as well")
    return parser
