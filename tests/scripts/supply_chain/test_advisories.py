from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from supply_chain import advisories
from supply_chain.advisories import Audit, audit
from supply_chain.command import PROJECT
from supply_chain.components import Component, installed

COMPONENTS = installed(PROJECT)[:3]
ONE, TWO, THREE = (one.name for one in COMPONENTS)
WEAKNESS = {"id": "CVE-2031-1", "fix_versions": ["9.1", "9.2"]}


class Services:
    """What each service says of all components; None: nothing."""

    def __init__(self, **said: dict[str, list[dict[str, Any]]] | None) -> None:
        self.said = said
        self.asked: list[tuple[str, int]] = []

    def __call__(self, service: str, components: Sequence[Component]) -> list[dict[str, Any]] | None:
        self.asked.append((service, len(components)))
        known = self.said.get(service)
        if known is None:
            return None
        return [
            {"name": one.name, "version": one.version, "vulns": known[one.name]}
            if one.name in known
            else {"name": one.name, "skip_reason": "Dependency not found"}
            for one in components
        ]


def test_nothing_is_known_against_them() -> None:
    services = Services(pypi={ONE: [], TWO: [], THREE: []})
    assert audit(COMPONENTS, services) == Audit(was_made=True)
    assert services.asked == [("pypi", 1), ("pypi", 3)]


def test_a_weakness_is_told_with_its_remedy() -> None:
    made = audit(COMPONENTS, Services(pypi={ONE: [], TWO: [WEAKNESS, {"id": "GHSA-1"}], THREE: []}))
    version = COMPONENTS[1].version
    assert made.weaknesses == (
        f"{TWO} {version}: CVE-2031-1, mended in 9.1, 9.2",
        f"{TWO} {version}: GHSA-1, mended in no version yet",
    )


def test_what_the_service_does_not_know_is_not_passed() -> None:
    assert audit(COMPONENTS, Services(pypi={ONE: [], TWO: []})).unknown == (THREE,)


def test_a_mirror_that_knows_nobody_has_not_checked_anything() -> None:
    """pip-audit itself ends well there, with a remark for each package."""
    services = Services(pypi={})
    assert audit(COMPONENTS, services) == Audit(
        was_made=False, why_not="what answers for pypi keeps no advisories; osv did not answer"
    )
    assert services.asked == [("pypi", 1), ("osv", 1)], "one package is enough to tell"


def test_the_next_service_is_asked() -> None:
    services = Services(osv={ONE: [], TWO: [WEAKNESS], THREE: []})
    assert len(audit(COMPONENTS, services).weaknesses) == 1
    assert services.asked == [("pypi", 1), ("osv", 1), ("osv", 3)]


def test_a_service_that_stops_answering_has_not_checked_anything() -> None:
    class Stops(Services):
        def __call__(self, service: str, components: Sequence[Component]) -> list[dict[str, Any]] | None:
            return super().__call__(service, components) if len(components) == 1 else None

    assert not audit(COMPONENTS, Stops(pypi={ONE: []}, osv={ONE: []})).was_made


# The real pip-audit


@pytest.fixture
def osv() -> Iterator[str]:
    """The address of a service in the form of OSV's that knows a weakness of the second component."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            package = {"name": asked["package"]["name"], "ecosystem": "PyPI"}
            events = [{"introduced": "0"}, {"fixed": "999"}]
            affected = [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}]
            found = {"id": "GHSA-made-up", "modified": "2031-01-01T00:00:00Z", "affected": affected, "summary": "x"}
            answer = json.dumps({"vulns": [found]} if package["name"] == TWO else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
def test_pip_audit_is_understood(osv: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(advisories, "SERVICES", ("osv",))
    made = audit(COMPONENTS, lambda service, components: advisories._ask(service, components, "--osv-url", osv))
    assert made == Audit(was_made=True, weaknesses=(f"{TWO} {COMPONENTS[1].version}: GHSA-made-up, mended in 999",))


@pytest.mark.slow
def test_a_service_that_is_not_there_says_nothing() -> None:
    assert advisories._ask("osv", COMPONENTS[:1], "--osv-url", "http://127.0.0.1:9/v1/query") is None
