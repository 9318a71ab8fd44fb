"""scripts/doctor, started as a user starts it, in front of real proxies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from billing.ledger import LEDGER_FILE
from connecting import certificate_authority
from demo.stand_in import StandIn
from tests.e2e.mitmdump import ADDON, PROJECT, Mitmdump, free_port, wait_for
from tests.e2e.noted import noted
from tests.e2e.route import Route, proxied
from tests.e2e.test_launcher import Launch

pytestmark = pytest.mark.e2e

DOCTOR = PROJECT / "scripts" / "doctor"
KEY = "made-up-key-that-must-not-show"
SECONDS = 180
HOST = "made-up.services.ai.azure.com"
REDIRECT = PROJECT / "scripts" / "demo" / "redirect.py"


@dataclass
class Person:
    """Who starts the doctor: a home, and what stands in the environment."""

    root: Path
    variables: dict[str, str]

    def ask(self, *arguments: str, **variables: str) -> tuple[int, dict[str, dict[str, str]]]:
        """The exit code, and the findings by their names."""
        done = self.start("--json", *arguments, **variables)
        document = json.loads(done.stdout)
        assert done.returncode == (document["verdict"] == "failed"), done.stderr
        return done.returncode, {each["name"]: each for each in document["checks"]}

    def start(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        home = self.root / "home"
        home.mkdir(exist_ok=True)
        own = {"PATH": os.environ["PATH"], "HOME": str(home), **self.variables, **variables}
        done = subprocess.run(
            [DOCTOR, *arguments], env=own, cwd=home, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert KEY not in done.stdout + done.stderr
        return done


def verdicts(found: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: each["verdict"] for name, each in found.items()}


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with StandIn() as server:
        yield server


@pytest.fixture
def way(stand_in: StandIn, tmp_path: Path) -> Iterator[Route]:
    with proxied(stand_in, tmp_path) as route:
        yield route


def person(directory: Path, proxy: Mitmdump, certificate: Path | None = None) -> Person:
    """Somebody who did everything right."""
    variables = {
        "CLAUDE_CODE_USE_FOUNDRY": "1",
        "ANTHROPIC_FOUNDRY_RESOURCE": "made-up",
        "ANTHROPIC_FOUNDRY_API_KEY": KEY,
        "HTTPS_PROXY": proxy.url,
        "NODE_EXTRA_CA_CERTS": str(certificate or proxy.certificate),
        "FOUNDRY_COMPRESS_CONFDIR": str(proxy.confdir),
        "FOUNDRY_COMPRESS_STATE_DIR": str(directory / "state"),
    }
    return Person(directory, variables)


def test_all_is_well(way: Route, tmp_path: Path) -> None:
    code, found = person(tmp_path, way.proxy).ask()
    assert code == 0
    assert set(verdicts(found).values()) <= {"ok", "skipped"}
    for name in ("proxy", "NODE_EXTRA_CA_CERTS", "NO_PROXY", "request to Foundry", "authority: scope"):
        assert found[name]["verdict"] == "ok"
    assert "mode balanced" in found["proxy"]["detail"]
    assert "with a certificate by the authority" in found["request to Foundry"]["detail"]
    (arrived,) = way.stand_in.requests
    assert arrived.body == b"{}"
    assert not {"x-api-key", "api-key", "authorization"} & {name.lower() for name, _ in arrived.headers}
    assert "refused this proxy's certificate" not in way.proxy.log()


def test_a_person_reads_one_line_a_check(way: Route, tmp_path: Path) -> None:
    done = person(tmp_path, way.proxy).start()
    assert done.returncode == 0
    *lines, empty, last = done.stdout.splitlines()
    assert [line.split()[0] for line in lines if line.split()[0] not in ("ok", "skipped")] == []
    assert (empty, last) == ("", "Everything that was looked at works.")
    assert done.stderr == ""


def test_offline_sends_nothing(way: Route, tmp_path: Path) -> None:
    _, found = person(tmp_path, way.proxy).ask("--offline")
    assert found["request to Foundry"]["verdict"] == "skipped"
    assert way.stand_in.requests == []


def send(route: Route) -> None:
    """One request, of which much can go."""
    subprocess.run(
        [sys.executable, Path(__file__).with_name("foundry_request.py"), HOST],
        env={"HTTPS_PROXY": route.proxy.url, "NODE_EXTRA_CA_CERTS": str(route.proxy.certificate)},
        timeout=SECONDS,
        check=True,
        capture_output=True,
    )


def test_the_last_hour(way: Route, tmp_path: Path) -> None:
    somebody = person(tmp_path, way.proxy)
    somebody.ask()
    assert wait_for(lambda: len(noted(tmp_path / "state")) == 1)
    _, found = somebody.ask("--offline")
    assert found["last hour"]["verdict"] == "skipped"
    assert found["last hour"]["detail"] == "no request came through the proxy"
    send(way)
    assert wait_for(lambda: len(noted(tmp_path / "state")) == 2)
    _, found = somebody.ask("--offline")
    assert found["last hour"]["verdict"] == "ok"
    assert found["last hour"]["detail"].startswith("1 request, 1 made smaller by ")


def test_the_last_hour_was_only_observed(stand_in: StandIn, tmp_path: Path) -> None:
    with proxied(stand_in, tmp_path, foundry_mode="observe") as observing:
        send(observing)
        assert wait_for(lambda: len(noted(tmp_path / "state")) == 1)
        code, found = person(tmp_path, observing.proxy).ask("--offline")
    assert code == 0
    assert found["proxy"]["verdict"] == "warning"
    assert found["last hour"]["verdict"] == "warning"
    assert "the mode is observe" in found["last hour"]["detail"]


def test_the_ledger_is_broken(way: Route, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(exist_ok=True)
    (tmp_path / "state" / LEDGER_FILE).write_bytes(b"no database" * 500)
    code, found = person(tmp_path, way.proxy).ask("--offline")
    assert code == 1
    assert found["last hour"]["verdict"] == "failed"
    assert "move it away" in found["last hour"]["remedy"]


def test_a_session_of_the_launcher_finds_itself_well(tmp_path: Path) -> None:
    launch = Launch(tmp_path)
    launch.client(f'"{DOCTOR}" --offline --json')
    done = launch.run()
    found = {each["name"]: each for each in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0, done.stdout
    for name in ("proxy", "NODE_EXTRA_CA_CERTS", "NO_PROXY", "authority"):
        assert found[name]["verdict"] == "ok"


def test_the_addon_switched_off_tunnels(stand_in: StandIn, tmp_path: Path) -> None:
    with proxied(stand_in, tmp_path, foundry_mode="off") as off:
        _, found = person(tmp_path, off.proxy).ask()
    assert found["proxy"]["verdict"] == "warning"
    assert "mode off" in found["proxy"]["detail"]
    # Through the tunnel comes the stand-in's own certificate, which nobody trusts.
    assert found["request to Foundry"]["verdict"] == "failed"
    assert "stand-in on loopback" in found["request to Foundry"]["detail"]


def test_a_mitmproxy_without_the_addon(stand_in: StandIn, tmp_path: Path) -> None:
    with proxied(stand_in, tmp_path, addon=False) as bare:
        code, found = person(tmp_path, bare.proxy).ask("--proxy", bare.proxy.url)
    assert code == 1
    assert found["proxy"]["verdict"] == "failed"
    assert "a mitmproxy without the addon" in found["proxy"]["detail"]
    assert found["request to Foundry"]["verdict"] == "skipped"
    assert found["authority: scope"]["verdict"] == "failed"  # mitmproxy made one for every host


def test_the_proxy_is_gone(way: Route, tmp_path: Path) -> None:
    way.proxy.stop()
    code, found = person(tmp_path, way.proxy).ask()
    assert code == 1
    assert found["proxy"]["verdict"] == "failed"
    assert "nothing listens there" in found["proxy"]["detail"]
    assert found["request to Foundry"]["verdict"] == "skipped"


def test_the_service_is_out_of_reach(way: Route, tmp_path: Path, stand_in: StandIn) -> None:
    with Mitmdump(
        _home(tmp_path),
        ADDON,
        REDIRECT,
        options={"confdir": str(way.proxy.confdir), "foundry_state_dir": str(tmp_path / "state")},
        environment={"FOUNDRY_STAND_IN_PORT": str(free_port())},
    ) as proxy:
        code, found = person(tmp_path, proxy).ask()
    assert code == 1
    assert found["request to Foundry"]["verdict"] == "failed"
    assert "502" in found["request to Foundry"]["detail"]
    assert stand_in.requests == []


def test_the_proxy_does_not_trust_the_service(way: Route, tmp_path: Path) -> None:
    with Mitmdump(
        _home(tmp_path),
        ADDON,
        REDIRECT,
        options={"confdir": str(way.proxy.confdir), "foundry_state_dir": str(tmp_path / "state")},
        environment={"FOUNDRY_STAND_IN_PORT": str(way.stand_in.port)},
    ) as proxy:
        _, found = person(tmp_path, proxy).ask()
    assert found["request to Foundry"]["verdict"] == "failed"
    assert "ertificate verify failed" in found["request to Foundry"]["detail"]
    assert "ssl_verify_upstream_trusted_ca" in found["request to Foundry"]["remedy"]


def test_the_proxy_has_another_authority(way: Route, tmp_path: Path) -> None:
    other = certificate_authority.ensure(tmp_path / "other")
    somebody = person(tmp_path, way.proxy, other.certificate_path)
    code, found = somebody.ask("--confdir", str(tmp_path / "other"))
    assert code == 1
    assert found["request to Foundry"]["verdict"] == "failed"
    assert "--confdir" in found["request to Foundry"]["remedy"]
    assert way.stand_in.requests == []


def test_a_gateway_that_the_proxy_does_not_know(way: Route, tmp_path: Path) -> None:
    somebody = person(tmp_path, way.proxy)
    del somebody.variables["ANTHROPIC_FOUNDRY_RESOURCE"]
    _, found = somebody.ask("--offline", ANTHROPIC_FOUNDRY_BASE_URL="https://gateway.example.com/x")
    assert found["Foundry resource"]["verdict"] == "ok"
    assert found["authority: scope"]["verdict"] == "failed"
    assert "gateway.example.com" in found["authority: scope"]["remedy"]


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"NO_PROXY": "localhost,.azure.com"}, "NO_PROXY"),
        ({"NODE_EXTRA_CA_CERTS": "/nowhere/ca.pem"}, "NODE_EXTRA_CA_CERTS"),
        ({"CLAUDE_CODE_USE_FOUNDRY": "0"}, "Claude Code"),
        ({"ANTHROPIC_FOUNDRY_BASE_URL": "https://made-up.services.ai.azure.com/anthropic"}, "Foundry resource"),
    ],
)
def test_one_thing_is_wrong(way: Route, tmp_path: Path, variables: dict[str, str], name: str) -> None:
    code, found = person(tmp_path, way.proxy).ask("--offline", **variables)
    assert code == 1
    assert [each for each, verdict in verdicts(found).items() if verdict == "failed"] == [name]
    assert found[name]["remedy"]


def test_a_settings_file_is_read_as_claude_code_reads_it(way: Route, tmp_path: Path) -> None:
    settings = tmp_path / "home" / ".claude" / "settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"env": {"NO_PROXY": HOST}}))
    code, found = person(tmp_path, way.proxy).ask("--offline")
    assert code == 1
    assert found["NO_PROXY"]["verdict"] == "failed"
    assert str(settings) in found["NO_PROXY"]["detail"]


def test_bad_arguments(tmp_path: Path) -> None:
    done = Person(tmp_path, {}).start("--what")
    assert done.returncode == 2
    assert "usage: doctor" in done.stderr


def _home(directory: Path) -> Path:
    home = directory / "another-proxy"
    home.mkdir()
    return home
