"""The page at http://foundry.local/ in a browser and through a real proxy, with made-up figures behind it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.chromium import NO_CHROMIUM, Chromium, find_chromium
from tests.e2e.client import Answer, Tunnel, plain
from tests.e2e.mitmdump import Mitmdump

pytestmark = pytest.mark.e2e

TOKEN = "made-up-token-of-the-person"
SITE = "http://foundry.local/"
SCRIPT = Path(__file__).with_name("harness") / "status_site.py"

needs_chromium = pytest.mark.skipif(find_chromium() is None, reason=NO_CHROMIUM)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    home = tmp_path_factory.mktemp("proxy")
    with Mitmdump(home, SCRIPT, environment={"SITE_TOKEN": TOKEN, "TZ": "UTC"}) as started:
        yield started


@pytest.fixture(scope="module")
def window(proxy: Mitmdump, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("chromium"), proxy.url) as started:
        yield started


@pytest.fixture
def page(window: Chromium) -> Chromium:
    """The page, newly opened."""
    window.call("Emulation.setScriptExecutionDisabled", value=False)
    window.look(width=1100, dark=False)
    window.goto(SITE)
    return window


def _raw(proxy: Mitmdump, head: str, body: bytes = b"") -> Answer:
    return plain(proxy.port, head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)


def _one_more(proxy: Mitmdump) -> None:
    assert _raw(proxy, "GET http://one-more.example/ HTTP/1.1\nHost: one-more.example").status == 200


# Without a browser


def test_what_programs_get(proxy: Mitmdump) -> None:
    stats, requests = proxy.local("/api/stats"), proxy.local("/api/requests")["requests"]
    assert stats["requests"] > 100
    assert stats["health"]["state"] == "healthy"
    assert len(requests) == 200
    assert requests[0]["at"] > requests[-1]["at"]


def test_head_leaves_the_connection_usable(proxy: Mitmdump) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
    lengths = []
    for method in ("HEAD", "GET", "HEAD", "GET"):
        connection.request(method, f"{SITE}page.css")
        answer = connection.getresponse()
        lengths.append((answer.status, int(answer.headers["content-length"]), len(answer.read())))
    connection.close()
    length = lengths[0][1]
    assert length > 0
    assert lengths == [(200, length, 0), (200, length, length)] * 2


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET http://foundry.local/ HTTP/1.1\nHost: foundry.local", 200),
        ("GET http://foundry.local/metrics HTTP/1.0", 200),
        ("GET http://foundry.local/ HTTP/1.1\nHost: evil.example", 403),
        ("GET http://foundry.local/ HTTP/1.1\nHost: foundry.local\nOrigin: https://evil.example", 403),
        ("OPTIONS http://foundry.local/api/mode HTTP/1.1\nHost: foundry.local\nOrigin: https://evil.example", 403),
        ("POST http://foundry.local/api/mode HTTP/1.1\nHost: foundry.local\nContent-Length: 0", 403),
        ("DELETE http://foundry.local/ HTTP/1.1\nHost: foundry.local", 405),
    ],
)
def test_who_is_answered(proxy: Mitmdump, head: str, status: int) -> None:
    if "/metrics" in head:
        pytest.importorskip("prometheus_client", reason="prometheus_client is not installed")
    answer = _raw(proxy, head)
    assert answer.status == status, answer.body


def test_tunnels_are_refused(proxy: Mitmdump) -> None:
    with Tunnel(proxy.port, "foundry.local", 80) as tunnel:
        assert tunnel.status == 404


# In a browser


@needs_chromium
def test_the_figures_are_there_and_nothing_is_blocked_or_asked_for_elsewhere(page: Chromium, proxy: Mitmdump) -> None:
    stats = proxy.local("/api/stats")
    assert page.text("[data-figure=requests]") == f"{stats['requests']:,}"
    assert page.text("#state").startswith("Healthy: ")
    assert page.evaluate("document.querySelectorAll('#requests tr').length") == 50
    assert page.evaluate("document.querySelectorAll('svg rect').length") > 10
    assert page.evaluate("getComputedStyle(document.querySelector('rect.saved')).fill") == "rgb(20, 128, 111)"
    assert page.complaints() == []
    assert {address for address in page.asked_for() if not address.startswith(SITE)} == set()


@needs_chromium
def test_the_figures_are_there_without_javascript(window: Chromium) -> None:
    window.call("Emulation.setScriptExecutionDisabled", value=True)
    window.goto(SITE)
    source = json.dumps(window.call("DOM.getDocument", depth=-1))
    window.call("Emulation.setScriptExecutionDisabled", value=False)
    assert "scripts/mode" in source
    assert "claude-opus-4-6" in source
    assert "made smaller" in source


@needs_chromium
def test_the_figures_are_kept_fresh_and_what_is_open_stays_open(page: Chromium, proxy: Mitmdump) -> None:
    page.click("summary")
    page.type("#token", "half a tok")
    before = int(page.text("[data-figure=requests]").replace(",", ""))
    _one_more(proxy)
    assert page.comes_true(
        f"document.querySelector('[data-figure=requests]').innerText.replace(',', '') == '{before + 1}'"
    )
    assert page.text("#requests tr:first-child bdi") == "one-more <b>deployment</b>"
    assert page.evaluate("document.querySelector('details').open")
    assert page.evaluate("document.activeElement.id") == "token"
    assert page.evaluate("document.querySelector('#token').value") == "half a tok"
    assert page.complaints() == []


@needs_chromium
def test_a_wrong_token_is_refused_and_the_right_one_changes_the_mode(page: Chromium, proxy: Mitmdump) -> None:
    page.evaluate("document.querySelector('#mode').value = 'lossless'")
    page.type("#token", "wrong")
    page.click("button")
    assert page.comes_true("document.querySelector('#mode-says').innerText.includes('not the one that was printed')")
    assert proxy.local("/ready")["mode"] == "balanced"

    page.evaluate("document.querySelector('#token').value = ''")
    page.type("#token", f" {TOKEN} ")
    page.click("button")
    assert page.comes_true("document.querySelector('#mode-says').innerText === 'The mode is lossless now.'")
    assert proxy.local("/ready")["mode"] == "lossless"
    assert page.evaluate("document.querySelector('#token').value") == ""
    assert page.comes_true("document.querySelector('#about strong').innerText === 'lossless'")


@needs_chromium
@pytest.mark.parametrize("width", [320, 390, 1400])
def test_nothing_but_tables_is_wider_than_the_window(page: Chromium, width: int) -> None:
    page.look(width=width, dark=False)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


_CONTRAST = """
(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[0-9.]+/g).map(Number).map((v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (e) => {
    const colour = getComputedStyle(e).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" && e.parentElement ? ground(e.parentElement) : colour;
  };
  return [...document.querySelectorAll("body *")].filter((e) => e.innerText && e.getClientRects().length).map((e) => {
    const [low, high] = [light(getComputedStyle(e).color), light(ground(e))].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  }).reduce((a, b) => Math.min(a, b));
})()
"""


@needs_chromium
@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_ground(page: Chromium, dark: bool) -> None:
    page.look(width=1100, dark=dark)
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is dark
    assert page.evaluate(_CONTRAST) >= 4.5  # WCAG 2.2, level AA


@needs_chromium
def test_the_page_of_the_real_addon(tmp_path: Path) -> None:
    options = {"foundry_token": TOKEN, "foundry_state_dir": str(tmp_path / "state")}
    with Mitmdump(tmp_path, options=options) as addon, Chromium(tmp_path, addon.url) as page:
        page.goto(SITE)
        assert page.text("#state").startswith("Waiting: nothing for Foundry has come")
        page.evaluate("document.querySelector('#mode').value = 'off'")
        page.type("#token", TOKEN)
        page.click("button")
        assert page.comes_true("document.querySelector('#mode-says').innerText.startsWith('Off.')")
        assert page.comes_true("document.querySelector('#state').innerText.startsWith('Off: ')")
        assert addon.local("/ready")["mode"] == "off"
        assert page.complaints() == []


@needs_chromium
def test_a_page_of_another_site_can_neither_read_nor_change_anything(window: Chromium, proxy: Mitmdump) -> None:
    window.call("Emulation.setScriptExecutionDisabled", value=False)
    window.goto("http://other.example/")
    mode = proxy.local("/ready")["mode"]
    for options in (
        "{}",
        f'{{method: "POST", headers: {{Authorization: "Bearer {TOKEN}"}}, body: \'{{"mode":"off"}}\'}}',
    ):
        said = window.evaluate(f"fetch('{SITE}api/mode', {options}).then(() => 'read', () => 'kept from it')")
        assert said == "kept from it"
    assert proxy.local("/ready")["mode"] == mode
