"""deploy/Dockerfile, as it would run, and docs/containers.md, as its readers would use it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from demo.stand_in import StandIn
from team_gateway import users
from tests.e2e.like_a_container import Container, Image, reason_against
from tests.e2e.mitmdump import PROJECT, free_port, wait_for
from tests.e2e.snippets import blocks, snippet

pytestmark = [pytest.mark.e2e]

needs_containers = pytest.mark.skipif(bool(reason_against()), reason=reason_against())
PAGE = "docs/containers.md"
PASSWORD = users.new_password()
START_SECONDS = 180.0


@pytest.fixture(scope="module")
def image() -> Image:
    return Image.of_the_dockerfile()


def becomes_healthy(gateway: Container) -> bool:
    """Or has ended, as an engine would see at once."""
    assert gateway.process
    process = gateway.process
    return (
        wait_for(lambda: process.poll() is not None or gateway.is_healthy(), START_SECONDS) and process.poll() is None
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "proxy_users").write_text(users.line_for("anna", PASSWORD) + "\n")
    return tmp_path


def container(image: Image, folder: Path, name: str = "gateway", **environment: str) -> Container:
    given = {"FOUNDRY_GATEWAY_HOST": "127.0.0.1", "FOUNDRY_GATEWAY_PORT": str(free_port()), **environment}
    return Container(image, folder / name, folder / "volumes", folder / "secrets", given)


def address(gateway: Container, user: str = f"anna:{PASSWORD}") -> str:
    return f"http://{user}@127.0.0.1:{gateway.environment['FOUNDRY_GATEWAY_PORT']}"


def status(gateway: Container, user: str = f"anna:{PASSWORD}") -> int:
    """What foundry.local answers to `user`."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": address(gateway, user)}))
    try:
        with opener.open("http://foundry.local/ready", timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@needs_containers
def test_it_runs_as_nobody_in_a_file_system_that_may_only_be_read(image: Image, folder: Path) -> None:
    gateway = container(image, folder)
    with gateway.started():
        assert becomes_healthy(gateway), gateway.log_file.read_text()
        looked = gateway.execute("sh", "-c", "id -u; grep -E '^(Cap|NoNewPrivs)' /proc/self/status; touch /app/x /x")
        assert looked.stdout.splitlines()[0] == image.user.partition(":")[0]
        assert {line.split()[-1].strip("0") for line in looked.stdout.splitlines()[1:]} == {"", "1"}
        assert "'/app/x': Read-only" in looked.stderr
        assert "'/x': Read-only" in looked.stderr
        assert [status(gateway), status(gateway, "anna:wrong"), status(gateway, "ben:x")] == [200, 407, 407]
        # No secret where others on the machine could see it.
        assert gateway.process
        shown = Path(f"/proc/{gateway.process.pid}/cmdline").read_bytes()
        assert b"proxyauth=@/tmp/" in shown
        assert PASSWORD.encode() not in shown + Path(f"/proc/{gateway.process.pid}/environ").read_bytes()
        key = folder / "volumes" / "ca" / "mitmproxy-ca.pem"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert gateway.execute("/app/scripts/mode").stdout == "balanced\n"
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(START_SECONDS) == 0
    assert "Read-only file system" not in gateway.log_file.read_text()


@needs_containers
def test_the_check_fails_where_no_proxy_was_started(image: Image, folder: Path) -> None:
    done = container(replace(image, entrypoint=image.healthcheck), folder).run()
    assert (done.returncode, done.stdout) == (1, "")
    assert "was not started here" in done.stderr


@needs_containers
def test_the_check_fails_again_when_the_proxy_no_longer_answers(image: Image, folder: Path) -> None:
    gateway = container(image, folder)
    with gateway.started():
        assert becomes_healthy(gateway), gateway.log_file.read_text()
        assert gateway.process
        gateway.process.send_signal(signal.SIGSTOP)  # its port is open, and nobody is there
        assert not gateway.is_healthy()
        gateway.process.send_signal(signal.SIGCONT)
        assert becomes_healthy(gateway)


@needs_containers
def test_several_share_an_authority_and_the_mode_token_is_a_secret(image: Image, folder: Path) -> None:
    (folder / "secrets" / "mode_token").write_text("open-sesame\n")
    first, second = container(image, folder, "first"), container(image, folder, "second")
    with first.started(), second.started():
        for gateway in (first, second):
            assert becomes_healthy(gateway), gateway.log_file.read_text()
        changed = second.execute("env", "FOUNDRY_COMPRESS_TOKEN=open-sesame", "/app/scripts/mode", "lossless")
        assert changed.returncode == 0, changed.stderr
        modes = [gateway.execute("/app/scripts/mode").stdout.strip() for gateway in (first, second)]
        assert modes == ["balanced", "lossless"]
        assert "open-sesame" not in second.log_file.read_text()
    assert len(list((folder / "volumes" / "ca").glob("mitmproxy-ca.pem"))) == 1


@needs_containers
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"FOUNDRY_GATEWAY_USERS_FILE": "/run/secrets/none"}, "nobody could use the proxy"),
        ({"FOUNDRY_GATEWAY_RUN_DIR": "/app/run"}, "mount a tmpfs at /tmp"),
        ({"FOUNDRY_COMPRESS_CONFDIR": "/app"}, "/app"),
    ],
)
def test_what_is_missing_is_one_line(image: Image, folder: Path, environment: dict[str, str], said: str) -> None:
    done = container(image, folder, **environment).run()
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_a_container_it_is_the_same(folder: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("FOUNDRY_", "ANTHROPIC_"))},
        "FOUNDRY_GATEWAY_HOST": "127.0.0.1",
        "FOUNDRY_GATEWAY_PORT": str(free_port()),
        "FOUNDRY_GATEWAY_USERS_FILE": str(folder / "secrets" / "proxy_users"),
        "FOUNDRY_GATEWAY_RUN_DIR": str(folder / "run"),
        "FOUNDRY_COMPRESS_CONFDIR": str(folder / "ca"),
        "FOUNDRY_COMPRESS_STATE_DIR": str(folder / "state"),
    }

    def check() -> str:
        body = PROJECT / "scripts" / "healthcheck_body.py"
        command = [sys.executable, "-I", str(body)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
        assert (done.returncode == 0) == bool(done.stdout)
        return done.stdout or done.stderr

    assert "was not started here" in check()
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-I", str(PROJECT / "scripts" / "team_gateway")]
        gateway = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)
    try:
        assert wait_for(lambda: check() == "healthcheck: the addon answers\n", START_SECONDS)
        gateway.kill()
        gateway.wait(START_SECONDS)
        assert "nothing answers" in check()
    finally:
        gateway.kill()
        gateway.wait(START_SECONDS)


# As the page says. `docker` is a small program here, which does with the container above what is asked for.

DOCKER = f"""#!{sys.executable}
import json, os, pathlib, subprocess, sys
facts = json.loads(pathlib.Path(os.environ["DOCKER_FACTS"]).read_text())
match sys.argv[1:]:
    case ["build", "-f", file, "-t", "foundry-compress", "."]:
        sys.exit(not pathlib.Path(file).exists())
    case ["run", "--rm", "foundry-compress", *arguments]:
        sys.exit(subprocess.call(facts["run"] + arguments))
    case ["compose", "-f", "deploy/compose.yaml", "up", "--detach", *_]:
        sys.exit(not pathlib.Path("deploy/compose.yaml").exists())
    case ["compose", "-f", "deploy/compose.yaml", "cp", source, target]:
        volume = source.removeprefix("gateway:/")
        pathlib.Path(target).write_bytes((pathlib.Path(facts["volumes"]) / volume).read_bytes())
    case ["compose", "-f", "deploy/compose.yaml", "exec", "gateway", *command]:
        sys.exit(subprocess.call(facts["exec"] + command))
    case words:
        sys.exit("not known: " + " ".join(words))
"""
CLIENT = """
import os, ssl, urllib.request
trusted = ssl.create_default_context(cafile=os.environ["NODE_EXTRA_CA_CERTS"])
opener = urllib.request.build_opener(urllib.request.ProxyHandler({"https": os.environ["HTTPS_PROXY"]}),
                                     urllib.request.HTTPSHandler(context=trusted))
request = urllib.request.Request("https://made-up.services.ai.azure.com/anthropic/v1/messages",
                                 os.environ["BODY"].encode(), {"content-type": "application/json", "x-api-key": "k"})
print(opener.open(request, timeout=60).status)
"""
BODY = '{"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}'


@dataclass
class Reader:
    """Somebody who does what the page says, in `folder`."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "bin").mkdir(parents=True)
        (self.folder / "bin" / "docker").write_text(DOCKER)
        (self.folder / "bin" / "docker").chmod(0o755)
        shutil.copytree(PROJECT / "deploy", self.folder / "deploy")

    def knows(self, **facts: object) -> None:
        (self.folder / "facts").write_text(json.dumps(facts))

    def does(self, position: int, then: str = "", **replacing: str) -> subprocess.CompletedProcess[str]:
        """Run the page's block number `position` in sh, with `replacing` put in, and `then` what comes after it."""
        done = self.tries(position, then, **replacing)
        assert done.returncode == 0, done.stderr
        return done

    def tries(self, position: int, then: str = "", **replacing: str) -> subprocess.CompletedProcess[str]:
        """The same, however it ends."""
        code = snippet(PAGE, "sh", position, replacing)
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return subprocess.run(
            ["sh", "-euc", f"{code}\n{then}"],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={"PATH": path, "DOCKER_FACTS": str(self.folder / "facts"), "BODY": BODY, "CLIENT": CLIENT},
            timeout=300,
            check=False,
        )


@needs_containers
def test_the_page_leads_from_an_image_to_a_request_and_its_report(image: Image, tmp_path: Path) -> None:
    reader = Reader(tmp_path / "project")
    (tmp_path / "none").mkdir()
    first = Container(image, tmp_path / "first", tmp_path / "no-volumes", tmp_path / "none")
    reader.knows(run=first.command())
    build, users_made, up, certificate, variables, looks, scaled = range(7)
    reader.does(build)
    said = reader.does(users_made).stderr
    password = said.split("password of anna is ")[1].split()[0]
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    shutil.copy2(reader.folder / "deploy" / "proxy_users", secrets)
    reader.does(up)
    with StandIn() as stand_in:
        shutil.copy(stand_in.ca_path, secrets / "company_ca")
        (secrets / "company_ca").chmod(0o644)
        gateway = container(image, tmp_path, FOUNDRY_STAND_IN_PORT=str(stand_in.port))
        trusted = "ssl_verify_upstream_trusted_ca=/run/secrets/company_ca"
        with gateway.started("-s", "/app/scripts/demo/redirect.py", "--set", trusted):
            assert becomes_healthy(gateway), gateway.log_file.read_text()
            reader.knows(volumes=str(gateway.volumes), exec=gateway.entering())
            reader.does(certificate)
            port = gateway.environment["FOUNDRY_GATEWAY_PORT"]
            own = {"PASSWORD@127.0.0.1:8080": f"{password}@127.0.0.1:{port}"}
            asked = reader.does(variables, f'{sys.executable} -c "$CLIENT"', **own)
            assert asked.stdout == "200\n"
            assert [request.path for request in stand_in.requests] == ["/anthropic/v1/messages"]
            looked: list[subprocess.CompletedProcess[str]] = []

            def is_told() -> bool:  # the ledger is written a moment later
                looked.append(reader.tries(looks))
                return looked[-1].returncode == 0 and "1 request" in looked[-1].stdout

            assert wait_for(is_told), looked[-1]
            assert looked[-1].stdout.splitlines()[:2] == ["healthcheck: the addon answers", "balanced"]
    reader.does(scaled)


def test_there_is_no_block_on_the_page_that_is_not_tried() -> None:
    found = [block.language for block in blocks((PROJECT / PAGE).read_text(encoding="utf-8"))]
    assert found == ["sh"] * 6 + ["yaml", "sh", "yaml"]  # those in YAML by tests/test_deploy.py
