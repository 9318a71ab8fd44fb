"""scripts/service with a stand-in for systemd, which starts for real what the unit says."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from connecting import certificate_authority
from demo.stand_in import StandIn
from launcher import client_settings
from service_units.description import describe
from service_units.systemd import unit
from tests.e2e.connect_proxy import ConnectProxy
from tests.e2e.like_a_container import reason_against
from tests.e2e.mitmdump import PROJECT, free_port, wait_for
from tests.e2e.noted import noted
from tests.e2e.service import Machine

pytestmark = pytest.mark.e2e

SECONDS = 120
HOST = "made-up.services.ai.azure.com"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with Machine(tmp_path) as made:
        yield made


def files(directory: Path) -> list[str]:
    return sorted(str(file.relative_to(directory)) for file in directory.rglob("*"))


def test_the_life_of_a_service(machine: Machine) -> None:
    port = str(machine.port)
    done = machine.service("install", "--port", port, "--mode", "lossless")
    assert done.returncode == 0, done.stderr
    assert f"Installed, and answering at 127.0.0.1:{port} in mode lossless: {machine.unit}" in done.stdout
    assert machine.asked == ["daemon-reload", "enable foundry-compress.service", "restart foundry-compress.service"]
    before = machine.unit.read_bytes()

    again = machine.service("install", "--port", port, "--mode", "lossless")
    assert "nothing was changed" in again.stdout
    assert len(machine.asked) == 3
    assert machine.unit.read_bytes() == before

    status = machine.service("status")
    assert status.returncode == 0
    assert status.stdout.splitlines() == [
        f"installed  {machine.unit}",
        "running    systemd: active (running)",
        f"answering  {machine.address}, Foundry Compress 0.1.0, mode lossless",
    ]

    printed = machine.print_env("sh")
    assert f"export HTTPS_PROXY='{machine.address}'" in printed.stdout, "the port is the installed service's"
    assert printed.stderr == ""

    gone = machine.service("uninstall")
    assert gone.returncode == 0
    said = gone.stdout.splitlines()
    assert said[0] == f"Removed {machine.unit}"
    assert f"Kept the certificate authority: {machine.root / 'certs'}" in said
    assert said[-1] == "scripts/service uninstall --purge removes these too."
    assert files(machine.home / ".config") == []
    assert not (machine.state / "service").exists()
    assert machine.service("status").returncode == 1

    purged = machine.service("uninstall", "--purge")
    assert purged.stdout.splitlines()[0] == "It was not installed."
    assert files(machine.home / ".local") == ["state"]
    assert not (machine.root / "certs").exists()


def test_requests_go_through_a_company_proxy_whose_password_is_in_no_unit(machine: Machine) -> None:
    with StandIn(hosts=(HOST,)) as stand_in, ConnectProxy(stand_in.port, "user:pass word") as company:
        machine.variables |= {
            "HTTPS_PROXY": f"http://user:pass%20word@127.0.0.1:{company.port}",
            "NODE_EXTRA_CA_CERTS": str(stand_in.ca_path),
            "NO_PROXY": "intranet.example",
        }
        done = machine.service("install", "--port", str(machine.port))
        assert done.returncode == 0, done.stderr
        assert machine.service("install").stdout.startswith("Already installed")

        printed = machine.print_env("sh").stdout
        ask = f'eval "$VARIABLES"; {sys.executable} {PROJECT / "tests/e2e/foundry_request.py"} {HOST}'
        asked = subprocess.run(
            ["sh", "-c", ask],
            env={"PATH": os.environ["PATH"], "VARIABLES": printed},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert asked.stdout == "200\n", asked.stderr + machine.journal
        assert company.seen == [HOST]
        assert len(stand_in.requests) == 1

    everything = done.stdout + done.stderr + printed + machine.unit.read_text() + machine.journal
    assert "pass" not in everything.replace("pass_", "")
    kept = list((machine.state / "service").glob("next-hop.json"))
    assert [oct(file.stat().st_mode & 0o777) for file in kept] == ["0o600"]


# As ProtectSystem=strict has it: $1 is where it may write, in words, and the rest is the command.
_ENTER = """
set -eu
for folder in $1; do mount --bind "$folder" "$folder"; done
shift
mount -o remount,bind,ro /
! touch "$HOME/anything" 2>/dev/null
exec "$@"
"""


@pytest.mark.skipif(bool(reason_against()), reason=reason_against())
def test_it_writes_only_where_its_unit_lets_it(machine: Machine) -> None:
    with StandIn(hosts=(HOST,)) as stand_in, ConnectProxy(stand_in.port) as company:
        machine.variables |= {
            "HTTPS_PROXY": f"http://127.0.0.1:{company.port}",
            "NODE_EXTRA_CA_CERTS": str(stand_in.ca_path),
            "FOUNDRY_COMPRESS_STATE_DIR": str(machine.state),
        }
        for folder in (machine.state, machine.certificate.parent):
            folder.mkdir(parents=True)
        service, _ = describe(client_settings.read(machine.environment, directory=machine.home), machine.port, None)
        said = dict(line.split("=", 1) for line in unit(service).splitlines() if "=" in line)
        writable = [path.removeprefix("-") for path in shlex.split(said["ReadWritePaths"])]
        command = shlex.split(said["ExecStart"].removeprefix(":"))
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "sh", " ".join(writable)]
        with (machine.root / "log").open("wb") as log:
            process = subprocess.Popen(
                [*enter, *command],
                env={
                    "HOME": str(machine.home),
                    "PATH": os.environ["PATH"],
                    **service.environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            waited = machine.service("status", "--port", str(machine.port), "--wait", "60")
            assert waited.returncode == 0, (machine.root / "log").read_text()
            given = {"HTTPS_PROXY": machine.address, "NODE_EXTRA_CA_CERTS": str(machine.certificate)}
            argv = [sys.executable, str(PROJECT / "tests/e2e/foundry_request.py"), HOST]
            asked = subprocess.run(argv, env=given, capture_output=True, timeout=SECONDS, check=False)
            assert asked.stdout == b"200\n", asked.stderr
            # Waited for while it runs: what is not written within two seconds of the end is given up.
            assert wait_for(lambda: len(noted(machine.state)) == 1)
        finally:
            process.terminate()
            process.wait(SECONDS)
    assert "Read-only" not in (machine.root / "log").read_text()


def test_nothing_is_installed_that_does_not_start(machine: Machine) -> None:
    done = machine.service("install", "--mode", "fast")
    assert done.returncode == 2
    assert done.stderr.startswith("service: the proxy would not start, so nothing was installed: foundry_mode: 'fast'")
    assert len(done.stderr.splitlines()) == 1
    assert machine.asked == []
    assert not (machine.home / ".config").exists()
    made = certificate_authority.inspect(machine.root / "certs")
    assert made is None or made.constrained, "not mitmproxy's own, which could vouch for every host"


def test_a_port_that_is_taken(machine: Machine) -> None:
    with ConnectProxy(1) as other:
        done = machine.service("install", "--port", str(other.port))
    assert done.returncode == 2
    assert (
        done.stderr == f"service: somebody else listens at 127.0.0.1:{other.port} already: name another with --port.\n"
    )


def test_where_no_systemd_is(machine: Machine) -> None:
    (machine.root / "bin" / "systemctl").write_text("#!/bin/sh\necho 'Failed to connect to bus' >&2; exit 1\n")
    done = machine.service("install")
    assert done.returncode == 2
    assert done.stderr == (
        "service: no systemd looks after your services here (Failed to connect to bus): start the proxy with scripts/"
        "service run instead, or, in WSL, write systemd=true under [boot] in /etc/wsl.conf and start WSL anew.\n"
    )
    assert files(machine.home) == []


def test_run_is_for_where_no_service_can_be(machine: Machine) -> None:
    port = free_port()
    with (machine.root / "log").open("wb") as log:
        process = subprocess.Popen(
            [PROJECT / "scripts" / "service", "run", "--port", str(port)],
            env=machine.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        status = machine.service("status", "--port", str(port), "--wait", "60")
        assert status.returncode == 0, (machine.root / "log").read_text()
        assert status.stdout.splitlines() == [
            "installed  no",
            f"answering  http://127.0.0.1:{port}, Foundry Compress 0.1.0, mode balanced",
        ]
    finally:
        process.terminate()
        process.wait(SECONDS)
    assert machine.service("status", "--port", str(port)).returncode == 1
