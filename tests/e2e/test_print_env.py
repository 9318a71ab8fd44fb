"""`--print-env` and the pages about it: what they say is run, and leads the real Claude Code through the proxy."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.answers import Answer
from demo.stand_in import StandIn
from tests.e2e.actionlint import actionlint
from tests.e2e.claude_code import NEEDS_CLIENT, client_path
from tests.e2e.connect_proxy import ConnectProxy
from tests.e2e.laws import messages_exchanges, verify
from tests.e2e.mitmdump import PROJECT, wait_for
from tests.e2e.route import Route, route
from tests.e2e.scripted import SOURCE, bash, make_project, read
from tests.e2e.service import Machine
from tests.e2e.snippets import blocks, snippet

pytestmark = pytest.mark.e2e

HOST = "made-up.services.ai.azure.com"
ASK = f"{sys.executable} {PROJECT / 'tests' / 'e2e' / 'foundry_request.py'} {HOST}"
OURS = ("HTTPS_PROXY", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NO_PROXY")
SECONDS = 120
# Stands for `claude` in what the pages say: the real one, with a question, in the folder that it works in.
CLAUDE = 'claude() { (cd "$WORK" && command "$CLAUDE" -p "Look around." --dangerously-skip-permissions "$@"); }\n'


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Route]:
    work = tmp_path / "work"
    make_project(work)
    repeated = bash("for n in $(seq 80); do echo 'WARN the queue is full'; done")
    script = [Answer((read(work / SOURCE), repeated)), Answer((read(work / SOURCE),)), Answer(("It is over.",))]
    with route(script, tmp_path / "route") as led:
        yield led


def run(way: Route, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Let sh run `script` as a user who is told of no proxy, with Claude Code set up for Foundry."""
    client = way.client(way.directory.parent / "work")
    client.home.mkdir(exist_ok=True)
    environment = {name: value for name, value in client.environment().items() if name not in OURS}
    environment |= {
        "WORK": str(client.directory),
        "CLAUDE": str(client_path()),
        "FOUNDRY_COMPRESS_CONFDIR": str(way.proxy.confdir),
        "FOUNDRY_COMPRESS_STATE_DIR": str(way.directory / "state"),
        **variables,
    }
    return subprocess.run(
        ["sh", "-e", "-c", CLAUDE + script],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def assert_made_smaller(way: Route, done: subprocess.CompletedProcess[str]) -> None:
    assert (done.returncode, done.stdout) == (0, "It is over.\n"), done.stderr
    found = messages_exchanges(way.exchanges())
    verify(found)
    assert len(found) == 3
    assert len(found[-1].arrived.body) < len(found[-1].sent)


# Claude Code


@NEEDS_CLIENT
def test_a_shell_that_evaluates_it(way: Route) -> None:
    code = snippet("docs/service.md", "sh", 1, {"--print-env sh": f"--print-env sh --proxy {way.proxy.url}"})
    assert_made_smaller(way, run(way, code))


@NEEDS_CLIENT
def test_a_settings_file_that_holds_it(way: Route) -> None:
    """As for conversations that a daemon starts: there is nothing of it in the environment."""
    code = snippet("docs/clients/settings-json.md", "sh", 0, {"json": f"json --proxy {way.proxy.url}"})
    printed = run(way, code)
    assert printed.stderr == ""
    settings = way.directory / "client" / ".claude" / "settings.json"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(printed.stdout)
    assert_made_smaller(way, run(way, "claude"))
    assert run(way, code).stdout == printed.stdout


@NEEDS_CLIENT
def test_settings_for_one_session(way: Route) -> None:
    code = snippet("docs/clients/settings-json.md", "sh", 1, {"json": f"json --proxy {way.proxy.url}"})
    assert_made_smaller(way, run(way, code))


# Shells and programs


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish(machine: Machine) -> None:
    page = (PROJECT / "docs" / "service.md").read_text()
    line = re.search(r"`(scripts/claude-foundry --print-env fish .*)`", page)
    assert line
    code = line[1].replace("\\|", "|").replace("print-env fish", f"print-env fish --proxy {machine.address}")
    script = f"{code}; for name in {' '.join(OURS)}; printf '%s=%s\\n' $name $$name; end"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        env=machine.environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    found = dict(item.split("=", 1) for item in done.stdout.splitlines())
    assert found == {name: printed(machine)[name] for name in OURS}


def printed(machine: Machine, form: str = "json", *arguments: str) -> dict[str, str]:
    done = machine.print_env(form, "--proxy", machine.address, *arguments)
    variables = json.loads(done.stdout)["env"]
    assert isinstance(variables, dict)
    return variables


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with Machine(tmp_path) as made:
        yield made


def test_the_gateway_of_another_machine(machine: Machine, tmp_path: Path) -> None:
    authority = tmp_path / "gateway-ca.pem"
    authority.write_text("-----BEGIN CERTIFICATE-----\nmade up\n-----END CERTIFICATE-----\n")
    replaced = {"http://gateway.example.com:8080": machine.address, "gateway-ca.pem": str(authority)}
    code = snippet("docs/service.md", "sh", 2, replaced)
    show = 'printf "%s\\n" "$HTTPS_PROXY"; cat "$NODE_EXTRA_CA_CERTS"'
    done = subprocess.run(
        ["sh", "-e", "-c", f"{code}\n{show}"],
        env=machine.environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    assert done.stdout.startswith(f"{machine.address}\n")
    assert authority.read_text() in done.stdout
    assert not (machine.root / "certs").exists(), "nobody's authority is made where another one counts"


def test_the_pages_show_what_is_printed(machine: Machine) -> None:
    shown = json.loads(snippet("docs/clients/settings-json.md", "json"))["env"]
    assert list(shown) == list(printed(machine))
    listed = json.loads(snippet("docs/clients/vscode.md", "json"))["claudeCode.environmentVariables"]
    code = snippet("docs/clients/vscode.md", "sh", 0, {"vscode": f"vscode --proxy {machine.address}"})
    done = machine.print_env(*shlex.split(code)[2:])
    for entry in listed:
        assert set(entry) == {"name", "value"}
    names = [entry["name"] for entry in json.loads(done.stdout)["claudeCode.environmentVariables"]]
    assert {entry["name"] for entry in listed} < set(names)


# Build machines


@contextlib.contextmanager
def left_running(argv: list[str], environment: dict[str, str], directory: Path) -> Iterator[str]:
    """Run it; whatever it left running in the background ends with the block, as it does with a job. Its output."""
    log = directory / "step.log"
    with log.open("wb") as file:
        step = subprocess.Popen(
            argv,
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        assert step.wait(SECONDS) == 0, log.read_text()
        yield log.read_text()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(step.pid, signal.SIGTERM)


@pytest.fixture
def company(machine: Machine) -> Iterator[StandIn]:
    """Foundry's stand-in behind a company's proxy, so that a proxy that was started as users do finds it."""
    with StandIn(hosts=(HOST,)) as stand_in, ConnectProxy(stand_in.port) as proxy:
        machine.variables |= {
            "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
            "NODE_EXTRA_CA_CERTS": str(stand_in.ca_path),
        }
        yield stand_in


def at(port: int) -> Callable[[str], str]:
    """The same command for another port than the one that everybody has."""
    return lambda code: re.sub(r"(scripts/service (?:run|status))", rf"\1 --port {port}", code)


def test_the_step_of_a_workflow(machine: Machine, company: StandIn, tmp_path: Path) -> None:
    workflow = snippet("docs/clients/github-actions.md", "yaml")
    script = re.search(r"^ {8}run: \|\n((?: {10}.*\n)+)", workflow, re.MULTILINE)
    assert script
    lines = [line[10:] for line in script[1].splitlines()]
    assert lines[0].startswith("git clone")
    lines[0] = f'ln -s {PROJECT} "$RUNNER_TEMP/foundry-compress"'
    code = at(machine.port)("\n".join(lines)).replace(
        "--print-env github", f"--print-env github --proxy {machine.address}"
    )
    (tmp_path / "temp").mkdir()
    given = tmp_path / "github-env"
    environment = machine.environment | {"RUNNER_TEMP": str(tmp_path / "temp"), "GITHUB_ENV": str(given)}
    with left_running(["bash", "-e", "-c", code], environment, tmp_path):
        variables = dict(line.split("=", 1) for line in given.read_text().splitlines())
        done = subprocess.run(
            ASK.split(), env={"PATH": os.environ["PATH"], **variables}, capture_output=True, timeout=60, check=False
        )
        log = tmp_path / "temp" / "foundry-compress.log"
        assert done.stdout == b"200\n", log.read_text()
        assert wait_for(lambda: " outcome=rewritten " in log.read_text()), log.read_text()
    assert len(company.requests) == 1


def test_github_takes_the_workflow() -> None:
    workflow = snippet("docs/clients/github-actions.md", "yaml")
    assert actionlint(workflow) == []
    assert actionlint(workflow.replace("runs-on:", "run-on:")), "what is wrong is found"


def test_the_line_for_a_profile_without_systemd(machine: Machine) -> None:
    code = at(machine.port)(snippet("docs/clients/wsl.md", "sh"))
    environment = machine.environment
    with left_running(["sh", "-c", f"cd {PROJECT} && {code}"], environment, machine.home):
        waited = machine.service("status", "--port", str(machine.port), "--wait", "60")
        assert waited.returncode == 0, waited.stdout
        log = machine.home / "foundry-compress.log"
        before = log.read_text()
        assert before
        subprocess.run(["sh", "-c", f"{code}\nwait"], env=environment, cwd=PROJECT, timeout=SECONDS, check=True)
        assert log.read_text().startswith(before), "another was started, and the log begun anew"
        assert machine.service("status", "--port", str(machine.port)).returncode == 0


def test_a_runner_that_starts_claude_code_itself(machine: Machine) -> None:
    """It is the launcher's own way, which tests/e2e/test_launcher.py shows: here it hands on what the page says."""
    client = machine.root / "bin" / "claude"
    client.write_text('#!/bin/sh\nprintf "%s\\n" "$@" "$HTTPS_PROXY"\n')
    client.chmod(0o755)
    variables = {
        "CLAUDE_CODE_USE_FOUNDRY": "1",
        "ANTHROPIC_FOUNDRY_RESOURCE": "made-up",
        "ANTHROPIC_FOUNDRY_API_KEY": "x",
    }
    done = subprocess.run(
        ["sh", "-e", "-c", snippet("docs/clients/github-actions.md", "sh")],
        env=machine.environment | variables,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    assert done.stdout.splitlines()[:2] == ["-p", "Say hello."]
    assert done.stdout.splitlines()[2].startswith("http://127.0.0.1:")


def test_every_block_of_these_pages_is_looked_at() -> None:
    """A block that is added wants a test."""
    pages = (
        "service.md",
        "clients/settings-json.md",
        "clients/vscode.md",
        "clients/github-actions.md",
        "clients/wsl.md",
    )
    found = {page: [one.language for one in blocks((PROJECT / "docs" / page).read_text())] for page in pages}
    assert found == {
        "service.md": ["sh", "", "sh", "sh", "sh", "sh", ""],
        "clients/settings-json.md": ["sh", "json", "sh"],
        "clients/vscode.md": ["sh", "json"],
        "clients/github-actions.md": ["sh", "yaml"],
        "clients/wsl.md": ["ini", "sh"],
    }
