"""A company's policy in front of a real mitmdump.

What it may say, and what follows: `tests/configuring/test_company_policy.py`.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.client import exchange, request
from tests.e2e.conftest import FOUNDRY_HOST, HARNESS
from tests.e2e.mitmdump import ADDON, Mitmdump
from tests.e2e.recording_origin import RecordingOrigin

pytestmark = pytest.mark.e2e

TOKEN = "made-up-token"


def under(policy: str, tmp_path: Path, origin: RecordingOrigin, **options: str) -> Mitmdump:
    """A mitmdump on a machine with this policy."""
    file = tmp_path / "policy.toml"
    file.write_text(policy)
    return Mitmdump(
        tmp_path,
        *(HARNESS / "policy_file.py", ADDON, HARNESS / "to_origin.py"),
        options={"foundry_state_dir": str(tmp_path / "state"), **origin.options, **options},
        environment={**origin.environment, "POLICY_FILE": str(file)},
    )


def test_what_is_set_beyond_it_ends_the_start_with_one_line(tmp_path: Path, origin: RecordingOrigin) -> None:
    proxy = under('modes = ["off", "observe"]', tmp_path, origin, foundry_mode="balanced")
    assert proxy.exit_code() == 1
    line = (
        f"foundry_mode: 'balanced' is beyond the company policy in {tmp_path / 'policy.toml'}; "
        "allowed is one of off, observe"
    )
    assert proxy.log().count(line) == 1


def test_what_nobody_set_follows_it_and_the_start_line_says_so(tmp_path: Path, origin: RecordingOrigin) -> None:
    with under('modes = ["off", "observe"]\nextra_hosts = ["gate.example"]', tmp_path, origin) as proxy:
        assert proxy.local("/ready")["mode"] == "observe"
    log = proxy.log()
    assert "gate.example; certificate authority for these hosts only" in log
    assert f"company policy {tmp_path / 'policy.toml'} (not locked): modes off observe; hosts gate.example" in log


def test_while_it_runs_what_is_beyond_it_is_refused_and_nothing_changes(
    tmp_path: Path, origin: RecordingOrigin
) -> None:
    with under('modes = ["off", "observe"]', tmp_path, origin, foundry_token=TOKEN) as proxy:
        status, said = order(proxy, "lossless")
        assert status == 400
        assert "foundry_mode: 'lossless' is beyond the company policy" in said
        assert proxy.local("/ready")["mode"] == "observe"
        assert order(proxy, "off")[0] == 200
        assert proxy.local("/ready")["mode"] == "off"


def test_with_a_broken_one_everything_is_tunnelled_and_a_line_says_why(tmp_path: Path, origin: RecordingOrigin) -> None:
    origin.forget()
    with under('mdoe = "off"', tmp_path, origin, foundry_mode="lossless") as proxy:
        assert proxy.local("/ready")["mode"] == "off"
        # Who trusts nobody but the service gets to it.
        answer = exchange(proxy.port, FOUNDRY_HOST, request(FOUNDRY_HOST, b"{}"), origin.certificate)
        assert answer.status == 200
    assert [received.body for received in origin.received] == [b"{}"]
    assert f"{tmp_path / 'policy.toml'}: 'mdoe' is no such key; the nearest is mode" in proxy.log()


def order(proxy: Mitmdump, mode: str) -> tuple[int, str]:
    """Ask for a mode with the token; the status and what is said."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy.url}))
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    data = json.dumps({"mode": mode, "now": False}).encode()
    try:
        with opener.open(urllib.request.Request("http://foundry.local/api/mode", data, headers), timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
