"""scripts/claude-foundry as a user runs it, with a small program in the place of Claude Code."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from demo.answers import Answer
from demo.stand_in import StandIn
from launcher.proxy_users import proxy_users
from tests.e2e.claude_code import client_path
from tests.e2e.connect_proxy import ConnectProxy
from tests.e2e.mitmdump import TRUST, free_port, inherited, wait_for

pytestmark = pytest.mark.e2e

PROJECT = Path(__file__).resolve().parents[2]
LAUNCHER = PROJECT / "scripts" / "claude-foundry"
HOST = "made-up.services.ai.azure.com"
ASK = f"{sys.executable} {PROJECT / 'tests' / 'e2e' / 'foundry_request.py'}"
SECONDS = 180
needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at other processes in /proc")
FETCH = """
import sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(sys.argv[1])
except urllib.error.HTTPError as error:
    print(error.code)
"""


@dataclass
class Launch:
    """A fresh home, a place for temporary files, and a client that is a shell script."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)
    address: str = "not started"
    _count: int = 0

    def __post_init__(self) -> None:
        for name in ("home", "work", "tmp", "bin"):
            (self.root / name).mkdir()
        self.client("exit 0")
        self.variables |= {
            "CLAUDE_CODE_USE_FOUNDRY": "1",
            "ANTHROPIC_FOUNDRY_RESOURCE": "made-up",
            "ANTHROPIC_FOUNDRY_API_KEY": "made-up",
        }

    def client(self, script: str) -> None:
        """What stands in the place of Claude Code."""
        file = self.root / "bin" / "claude"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        return inherited(*TRUST) | {
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.root / "tmp"),
            "PATH": f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "FOUNDRY_COMPRESS_CONFDIR": str(self.root / "certs"),
            "FOUNDRY_COMPRESS_BUDGET_MS": "20000",  # nothing goes out as it is because the proxy was stopped
            **self.variables,
        }

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [LAUNCHER, *arguments],
            env=self.environment,
            cwd=self.root / "work",
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    @contextlib.contextmanager
    def started(self, script: str) -> Iterator[subprocess.Popen[bytes]]:
        """The launcher, once `script` in the client's place runs; `out` and `err` are what came so far."""
        self.client(f'echo "$HTTPS_PROXY"\n{script}')
        self._count += 1
        out_file, err_file = (self.root / f"{kind}-{self._count}" for kind in ("out", "err"))
        self.out, self.err = out_file.read_text, err_file.read_text
        with out_file.open("wb") as out, err_file.open("wb") as err:
            process = subprocess.Popen(
                [LAUNCHER],
                env=self.environment,
                cwd=self.root / "work",
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        with process:
            try:
                assert wait_for(lambda: "\n" in out_file.read_text(), SECONDS), err_file.read_text()
                self.address = out_file.read_text().splitlines()[0]
                yield process
            finally:
                for pid in proxy_users(self.address):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                process.kill()

    def proxy_is_gone(self) -> bool:
        """Whether mitmdump has ended and taken its directory along."""
        return wait_for(lambda: not list((self.root / "tmp").iterdir()) and not self.mitmdumps(), SECONDS)

    def mitmdumps(self) -> list[int]:
        """Of this launch, by what it was told in its environment, without the process for much work; by no name."""
        marker = f"CLAUDE_FOUNDRY_SESSION={self.root / 'tmp'}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                for_much_work = b"engine_process" in (entry.parent / "cmdline").read_bytes()
                if marker in entry.read_bytes() and not for_much_work:
                    found.append(int(entry.parent.name))
        return found


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    return Launch(tmp_path)


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with StandIn(hosts=(HOST, "localhost", "elsewhere.example")) as server:
        yield server


def files_under(directory: Path) -> dict[str, tuple[int, int]]:
    return {str(file): (file.stat().st_mtime_ns, file.stat().st_size) for file in directory.rglob("*")}


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """What a launch that did not come to start the client said."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("claude-foundry: ")
    return lines[0].removeprefix("claude-foundry: ")


# What passes through


def test_arguments(launch: Launch) -> None:
    arguments = ["-p", "two words", "", "it's", '"quoted" $HOME `id` \\', "*", "--help", "--version", "a\nb", "--", "ü"]
    launch.client("printf '%s\\0' \"$@\"")
    done = launch.run(*arguments)
    assert done.stdout.split("\0")[:-1] == arguments


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
)
def test_exit_code(launch: Launch, script: str, code: int) -> None:
    launch.client(script)
    assert launch.run().returncode == code


def test_standard_input_and_output(launch: Launch) -> None:
    launch.client("cat; echo to standard error >&2")
    done = launch.run(stdin="some\ninput")
    assert done.stdout == "some\ninput"
    assert done.stderr.splitlines() == [
        "to standard error",
        "claude-foundry: no request to Foundry came through the proxy.",
    ]


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT", "USR1"])
def test_signals(launch: Launch, name: str) -> None:
    script = f"trap 'echo got {name}; exit 5' {name}\necho ready\nwhile :; do sleep 0.1; done"
    with launch.started(script) as process:
        assert wait_for(lambda: "ready" in launch.out())
        process.send_signal(getattr(signal, f"SIG{name}"))
        assert process.wait(SECONDS) == 5
        assert f"got {name}" in launch.out()
    assert launch.proxy_is_gone()


def test_an_ignored_signal_stays_ignored(launch: Launch) -> None:
    launch.client("kill -HUP $$; echo alive")
    argv = ["sh", "-c", 'trap "" HUP; exec "$0"', str(LAUNCHER)]
    done = subprocess.run(argv, env=launch.environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.stdout == "alive\n"


def test_terminal(launch: Launch) -> None:
    """The client has the terminal, and Ctrl-C reaches it once.

    The launcher stands still until that has come, or what it might send would be one with it; then it is sent a signal
    to hand on, behind which nothing else can come.
    """
    launch.client(
        "trap 'count=$((count + 1)); echo has come: $count' INT; trap ends=1 USR1; count=0; ends=\n"
        "test -t 0 && test -t 1 && stty size; echo ready\n"
        'while test -z "$ends"; do sleep 0.1; done; echo interrupts: $count'
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(launch.root / "work")
        os.execve(LAUNCHER, [str(LAUNCHER)], launch.environment)
    seen = b""
    interrupted = handed_on = False
    with contextlib.suppress(OSError):  # how Linux says that the other side is closed
        while piece := os.read(terminal, 4096):
            seen += piece
            if b"ready" in seen and not interrupted:
                interrupted = True
                os.kill(pid, signal.SIGSTOP)
                os.waitpid(pid, os.WUNTRACED)
                os.write(terminal, b"\x03")
            if b"has come: 1" in seen and not handed_on:
                handed_on = True
                os.kill(pid, signal.SIGUSR1)
                os.kill(pid, signal.SIGCONT)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert b"0 0" in seen
    assert b"interrupts: 1" in seen


# What the client finds


@needs_proc
def test_environment_of_the_client(launch: Launch) -> None:
    launch.variables |= {"NO_PROXY": "intranet.example", "PYTHONPATH": "/mine"}
    launch.client("env -0")
    inside = dict(item.split("=", 1) for item in launch.run().stdout.split("\0") if item)
    assert inside["HTTPS_PROXY"].startswith("http://127.0.0.1:")
    assert inside["https_proxy"] == inside["HTTPS_PROXY"]
    assert inside["NO_PROXY"] == inside["no_proxy"] == "intranet.example,localhost,127.0.0.1,::1,169.254.169.254"
    assert inside["NODE_EXTRA_CA_CERTS"] == str(launch.root / "certs" / "mitmproxy-ca-cert.pem")
    changed = {name for name, value in inside.items() if launch.environment.get(name) != value}
    allowed = {"HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "NODE_EXTRA_CA_CERTS"}
    allowed |= {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}
    assert changed <= allowed | {"PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}


def test_no_trace(launch: Launch) -> None:
    (launch.root / "home" / ".claude").mkdir()
    (launch.root / "home" / ".claude" / "settings.json").write_text('{"env": {"HTTPS_PROXY": "http://127.0.0.1:9"}}')
    home, work = files_under(launch.root / "home"), files_under(launch.root / "work")
    launch.run()
    assert launch.proxy_is_gone()  # the launcher waits for it, but not for long where the machine has much to do
    assert files_under(launch.root / "home") == home
    assert files_under(launch.root / "work") == work


def test_no_proxy_is_repaired_and_the_line_says_so(launch: Launch) -> None:
    launch.variables |= {"NO_PROXY": "intranet.example,.azure.com"}
    launch.client('echo "$NO_PROXY"')
    done = launch.run()
    assert done.stdout == "intranet.example,localhost,127.0.0.1,::1,169.254.169.254\n"
    assert (
        "claude-foundry: NO_PROXY would lead Foundry past the proxy: Claude Code gets it without .azure.com."
        in done.stderr
    )


def test_settings_files_of_the_client_count(launch: Launch) -> None:
    launch.variables |= {"CLAUDE_CODE_USE_FOUNDRY": "", "ANTHROPIC_FOUNDRY_RESOURCE": ""}
    settings = launch.root / "work" / ".claude" / "settings.local.json"
    settings.parent.mkdir()
    block = {
        "CLAUDE_CODE_USE_FOUNDRY": "1",
        "ANTHROPIC_FOUNDRY_RESOURCE": "made-up",
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    settings.write_text(json.dumps({"env": block}))
    launch.client('cat "$2"; echo; shift 2; printf "%s\\n" "$@"; echo "$HTTPS_PROXY"')
    document, option, argument, address = launch.run("-p", "hi").stdout.splitlines()
    assert json.loads(document)["env"]["HTTPS_PROXY"] == address
    assert [option, argument] == ["-p", "hi"]


# What is missing


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"CLAUDE_CODE_USE_FOUNDRY": ""}, "set CLAUDE_CODE_USE_FOUNDRY=1"),
        ({"ANTHROPIC_FOUNDRY_RESOURCE": ""}, "set ANTHROPIC_FOUNDRY_RESOURCE"),
        ({"ANTHROPIC_FOUNDRY_BASE_URL": "https://x.example"}, "unset one of them"),
        ({"CLAUDE_FOUNDRY_CLIENT": "/nowhere/claude"}, "CLAUDE_FOUNDRY_CLIENT names /nowhere/claude"),
        ({"HTTPS_PROXY": "socks5://127.0.0.1:9"}, "cannot be chained"),
        ({"FOUNDRY_COMPRESS_MODE": "fast"}, "foundry_mode"),
        ({"FOUNDRY_COMPRESS_MEMORY_MB": "lots"}, "foundry_memory_mb"),
        (
            {"FOUNDRY_COMPRESS_EXTRA_HOSTS": "10.1.2.3"},
            "EXTRA_HOSTS: '10.1.2.3' is not possible; allowed are host names",
        ),
        ({"FOUNDRY_COMPRESS_EXTRA_HOSTS": "*.gateway.example"}, "EXTRA_HOSTS: '*.gateway.example' is not possible"),
        ({"FOUNDRY_COMPRESS_CONFDIR": "/dev/null"}, "make /dev/null yours to read and write"),
    ],
)
def test_one_line_and_exit_code_2(launch: Launch, changed: Mapping[str, str], says: str) -> None:
    launch.variables |= changed
    assert says in one_line(launch.run())
    assert list((launch.root / "tmp").iterdir()) == []
    assert launch.mitmdumps() == []


def test_claude_code_is_not_installed(launch: Launch) -> None:
    (launch.root / "bin" / "claude").unlink()
    (launch.root / "bin" / "python").symlink_to(sys.executable)
    launch.variables |= {"PATH": f"{launch.root / 'bin'}:/usr/bin:/bin"}
    assert "npm install -g @anthropic-ai/claude-code" in one_line(launch.run())


def test_help_of_its_own(launch: Launch) -> None:
    launch.variables |= {"CLAUDE_CODE_USE_FOUNDRY": ""}
    done = launch.run("--foundry-help")
    assert done.returncode == 0
    assert "--demo" in done.stdout


# The way to Foundry


@needs_proc
def test_a_company_proxy_is_chained_and_its_password_stays_hidden(launch: Launch, stand_in: StandIn) -> None:
    with ConnectProxy(stand_in.port, "user:pass word") as company:
        launch.variables |= {
            "HTTPS_PROXY": f"http://user:pass%20word@127.0.0.1:{company.port}",
            "NODE_EXTRA_CA_CERTS": str(stand_in.ca_path),
        }
        launch.client(f"{ASK} {HOST} && cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'")
        done = launch.run()
        status, *command_lines = done.stdout.splitlines()
        assert status == "200"
        assert company.seen == [HOST]
        assert company.refused == []
    assert any(f"upstream:http://127.0.0.1:{company.port}" in line for line in command_lines)
    assert not any("pass word" in line or "pass%20word" in line for line in command_lines)
    assert len(stand_in.requests) == 1
    assert stand_in.requests[0].header("x-api-key") == "made-up"
    assert "1 request to Foundry, 1 made smaller: " in done.stderr.splitlines()[-1]


def test_other_hosts_go_the_same_way_undecrypted(launch: Launch, stand_in: StandIn) -> None:
    with ConnectProxy(stand_in.port) as company:
        launch.variables |= {
            "HTTPS_PROXY": f"http://127.0.0.1:{company.port}",
            "NODE_EXTRA_CA_CERTS": str(stand_in.ca_path),
        }
        launch.client(f"{ASK} localhost")
        done = launch.run()
        assert done.stdout == "200\n"
        assert company.seen == ["localhost"]
    assert "no request to Foundry" in done.stderr


def test_commands_that_the_client_runs(launch: Launch, stand_in: StandIn) -> None:
    """They trust what they trusted before, through a tunnel, and Foundry through the proxy besides."""
    with ConnectProxy(stand_in.port) as company:
        launch.variables |= {
            "HTTPS_PROXY": f"http://127.0.0.1:{company.port}",
            "SSL_CERT_FILE": str(stand_in.ca_path),
            "GIT_SSL_CAINFO": str(stand_in.ca_path),
            "NODE_EXTRA_CA_CERTS": str(stand_in.ca_path),
            "npm_config_cafile": str(stand_in.ca_path),
        }
        fetch = launch.root / "fetch.py"
        fetch.write_text(FETCH)
        status = "-o /dev/null -w '%{http_code}\\n'"
        commands = {
            "curl": f"curl -sS {status} https://{HOST}/models",
            "python": f"{sys.executable} {fetch} https://{HOST}/models",
            "curl elsewhere": f"curl -sS {status} https://elsewhere.example/x",
            "git": "git ls-remote https://elsewhere.example/x",
            "npm": "npm view x --registry https://elsewhere.example/ --fetch-retries 0",
        }
        commands = {name: command for name, command in commands.items() if shutil.which(command.split()[0])}
        launch.client("exec 2>&1\n" + "\n".join(f"echo '== {name}'; {command}" for name, command in commands.items()))
        said = launch.run().stdout
        outcome = dict(zip(commands, said.split("== ")[1:], strict=True))
    assert {"python", "git"} <= outcome.keys()
    for answer in outcome.values():  # each got through TLS and heard that there is nothing
        assert "404" in answer or "not found" in answer, said
    assert set(company.seen) == {HOST, "elsewhere.example"}


@pytest.mark.parametrize(("name", "entries"), [("NO_PROXY", "localhost"), ("no_proxy", "*")])
def test_where_no_proxy_meant_foundry_it_is_reached_directly(
    name: str, entries: str, launch: Launch, stand_in: StandIn
) -> None:
    with ConnectProxy(stand_in.port) as company:
        launch.variables |= {
            "ANTHROPIC_FOUNDRY_RESOURCE": "",
            "ANTHROPIC_FOUNDRY_BASE_URL": f"https://localhost:{stand_in.port}/anthropic",
            "HTTPS_PROXY": f"http://127.0.0.1:{company.port}",
            name: entries,
            "NODE_EXTRA_CA_CERTS": str(stand_in.ca_path),
        }
        launch.client(f'{ASK} localhost {stand_in.port}; echo "$NO_PROXY"')
        done = launch.run()
        assert done.stdout == "200\n127.0.0.1,::1,169.254.169.254\n"
        assert company.seen == []
    assert "1 request to Foundry, 1 made smaller" in done.stderr


def test_extra_hosts_may_be_urls(launch: Launch, stand_in: StandIn) -> None:
    """The launcher took names alone, though the addon takes URLs as well."""
    with ConnectProxy(stand_in.port) as company:
        launch.variables |= {
            "FOUNDRY_COMPRESS_EXTRA_HOSTS": "https://elsewhere.example:443/base, LOCALHOST",
            "HTTPS_PROXY": f"http://127.0.0.1:{company.port}",
            "NODE_EXTRA_CA_CERTS": str(stand_in.ca_path),
        }
        launch.client(f"{ASK} elsewhere.example; {ASK} localhost")
        done = launch.run()
    assert done.stdout == "200\n200\n"
    assert "2 requests to Foundry, 2 made smaller" in done.stderr


def test_a_gateway_that_cannot_be_reached_is_named_with_the_reason(launch: Launch) -> None:
    """Without it the closing line alone said that no request to Foundry had come."""
    port = free_port()
    launch.variables |= {
        "ANTHROPIC_FOUNDRY_RESOURCE": "",
        "ANTHROPIC_FOUNDRY_BASE_URL": f"https://localhost:{port}/anthropic",
    }
    launch.client(f"{ASK} localhost {port}")
    assert "claude-foundry: This proxy could not reach localhost: " in launch.run().stderr


def test_a_foundry_whose_certificate_is_not_trusted_is_told_of(launch: Launch, stand_in: StandIn) -> None:
    with ConnectProxy(stand_in.port) as company:
        launch.variables |= {"HTTPS_PROXY": f"http://127.0.0.1:{company.port}"}
        launch.client(f"{ASK} {HOST}")
        line = next(line for line in launch.run().stderr.splitlines() if "could not reach" in line)
    assert f"could not reach {HOST}: " in line
    assert "ssl_verify_upstream_trusted_ca" in line


def test_a_company_proxy_that_refuses_is_told_of(launch: Launch, stand_in: StandIn) -> None:
    with ConnectProxy(stand_in.port, "user:right") as company:
        launch.variables |= {"HTTPS_PROXY": f"http://user:wrong@127.0.0.1:{company.port}"}
        launch.client(f"{ASK} {HOST}")
        said = launch.run().stderr
    assert f"claude-foundry: This proxy could not reach {HOST}: " in said
    assert "407" in said
    assert "wrong" not in said


def test_a_gateway_is_certified_and_rewritten(launch: Launch, stand_in: StandIn) -> None:
    with ConnectProxy(stand_in.port) as company:
        launch.variables |= {
            "ANTHROPIC_FOUNDRY_RESOURCE": "",
            "ANTHROPIC_FOUNDRY_BASE_URL": "https://localhost/anthropic",
            "HTTPS_PROXY": f"http://127.0.0.1:{company.port}",
            "NODE_EXTRA_CA_CERTS": str(stand_in.ca_path),
        }
        launch.client(f"{ASK} localhost")
        done = launch.run()
    assert done.stdout == "200\n"
    assert "1 request to Foundry, 1 made smaller" in done.stderr


def test_the_real_client_through_a_company_proxy_that_its_settings_name(launch: Launch) -> None:
    claude = client_path()
    if claude is None:
        pytest.skip(os.environ.get("FOUNDRY_TEST_NO_CLAUDE", "Claude Code is not installed: scripts/test installs it"))
    with StandIn([Answer(("Hello.",))]) as stand_in, ConnectProxy(stand_in.port, "user:secret") as company:
        settings = launch.root / "home" / ".claude" / "settings.json"
        settings.parent.mkdir()
        block = {
            "HTTPS_PROXY": f"http://user:secret@127.0.0.1:{company.port}",
            "NODE_EXTRA_CA_CERTS": str(stand_in.ca_path),
            "NO_PROXY": "intranet.example",
        }
        settings.write_text(json.dumps({"env": block}))
        launch.variables |= {
            "CLAUDE_FOUNDRY_CLIENT": str(claude),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }
        done = launch.run("-p", "hi")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "Hello.\n"
    assert set(company.seen) == {HOST}
    assert company.refused == []
    assert stand_in.requests[0].header("x-api-key") == "made-up"
    assert " to Foundry, " in done.stderr.splitlines()[-1]


# Who outlives whom


@needs_proc
def test_a_background_process_keeps_the_proxy_until_it_ends(launch: Launch, stand_in: StandIn) -> None:
    with ConnectProxy(stand_in.port) as company:
        launch.variables |= {
            "HTTPS_PROXY": f"http://127.0.0.1:{company.port}",
            "NODE_EXTRA_CA_CERTS": str(stand_in.ca_path),
        }
        runs, go, said = (launch.root / name for name in ("runs", "go", "said"))
        server = f"touch {runs}; while ! test -e {go}; do sleep 0.05; done; {ASK} {HOST} >{said} 2>&1"
        # The client ends once the server is a shell of its own: before that it bears the name of what starts it.
        start = f"nohup setsid sh -c '{server}' >/dev/null 2>&1 </dev/null &"
        launch.client(f"{start}\nwhile ! test -e {runs}; do sleep 0.05; done\nexit 3")
        done = launch.run()
        assert done.returncode == 3
        assert "still running and using the proxy, which ends with them: sh (" in done.stderr
        time.sleep(1)  # more than the proxy needs to end where nobody is left
        assert len(launch.mitmdumps()) == 1
        go.touch()
        assert launch.proxy_is_gone()
        assert said.read_text() == "200\n"


@needs_proc
def test_a_killed_launcher_leaves_the_client_its_proxy_and_then_nothing(launch: Launch) -> None:
    with launch.started("exec sleep 600") as process:
        process.kill()
        process.wait()
        time.sleep(1)
        assert wait_for(lambda: list(proxy_users(launch.address).values()) == ["sleep"])
        (client,) = proxy_users(launch.address)
        assert len(launch.mitmdumps()) == 1
        os.kill(client, signal.SIGKILL)
        assert launch.proxy_is_gone()


@needs_proc
def test_a_proxy_that_dies_is_reported_with_its_log(launch: Launch) -> None:
    with launch.started("sleep 600; exit 4") as process:
        (mitmdump,) = launch.mitmdumps()
        os.kill(mitmdump, signal.SIGKILL)
        assert wait_for(lambda: not launch.mitmdumps())
        assert wait_for(lambda: "sleep" in proxy_users(launch.address).values())
        for pid, name in proxy_users(launch.address).items():
            if name == "sleep":
                os.kill(pid, signal.SIGTERM)
        assert process.wait(SECONDS) == 4
    assert "the proxy ended before Claude Code did" in launch.err()
    assert (next((launch.root / "tmp").iterdir()) / "log").exists()


# Both at once, and the demo


def test_two_sessions_at_the_same_time(launch: Launch) -> None:
    go_on = launch.root / "go-on"
    with launch.started(f"while ! test -e {go_on}; do sleep 0.05; done") as one:
        first = launch.address
        with launch.started("exit 0") as two:
            assert launch.address != first
            assert two.wait(SECONDS) == 0
        assert one.poll() is None
        go_on.touch()
        assert one.wait(SECONDS) == 0
    assert launch.proxy_is_gone()


def test_demo(launch: Launch) -> None:
    launch.variables = {}
    (launch.root / "bin" / "claude").unlink()
    done = launch.run("--demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "made smaller" in done.stderr.splitlines()[-1]
    assert "all requests together" in done.stdout
    assert launch.proxy_is_gone()
