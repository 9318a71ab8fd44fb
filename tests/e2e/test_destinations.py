"""Where the proxy connects to: where its clients want to go, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.client import exchange, request
from tests.e2e.conftest import FOUNDRY_HOST, HARNESS, OTHER_HOSTS
from tests.e2e.mitmdump import ADDON, Mitmdump
from tests.e2e.recording_origin import RecordingOrigin
from tests.e2e.replicas import Talk
from tests.e2e.set_aside_sessions import BALANCED

pytestmark = pytest.mark.e2e


def test_it_connects_to_where_its_clients_want_to_go_and_downloads_nothing(
    origin: RecordingOrigin, tmp_path: Path
) -> None:
    destinations = tmp_path / "destinations"
    (tmp_path / "home").mkdir()
    with Mitmdump(
        tmp_path / "home",
        *(HARNESS / "destinations.py", ADDON, HARNESS / "to_origin.py"),
        options=origin.options | BALANCED | {"foundry_cache_ttl": "0"},
        environment=origin.environment | {"DESTINATIONS": str(destinations)},
    ) as proxy:
        talk = Talk(1)
        for turns in range(1, 6):
            talk.turns = turns
            raw = request(FOUNDRY_HOST, talk.body())
            assert exchange(proxy.port, FOUNDRY_HOST, raw, proxy.certificate).status == 200
        raw = request(OTHER_HOSTS[0], b"{}")
        assert exchange(proxy.port, OTHER_HOSTS[0], raw, origin.certificate).status == 200
        stats = proxy.local("/api/stats")
    assert stats["tokens_removed"] > 0, "there were tokens to count"
    assert set(destinations.read_text().split()) == {f"127.0.0.1:{origin.port}"}
