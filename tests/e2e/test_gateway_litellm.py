"""LiteLLM's proxy as docs/clients/litellm.md sets it up, between clients and a real mitmdump with the addon."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.answers import Answer, ToolUse
from demo.stand_in import Request
from tests.e2e.claude_code import NEEDS_CLIENT, ClaudeCode
from tests.e2e.connect_proxy import ConnectProxy
from tests.e2e.laws import Exchange, messages_exchanges
from tests.e2e.mitmdump import free_port, wait_for
from tests.e2e.route import Route, proxied
from tests.e2e.scripted import make_project, session
from tests.e2e.sdks.environment import NEEDS_PYTHON_SDKS, PROJECT, PYTHON, environment, run
from tests.e2e.sdks.foundry import Foundry
from tests.e2e.sdks.laws import conversations, results, same_request, verify, verify_prefixes
from tests.e2e.snippets import snippet

pytestmark = [pytest.mark.e2e, NEEDS_PYTHON_SDKS]

PAGE = "docs/clients/litellm.md"
# What is made up on the page, for tests to replace.
CERTIFICATE, PROXY, PORT = "/home/dev/foundry-compress/certs/mitmproxy-ca-cert.pem", "http://127.0.0.1:8080", "4000"
MASTER_KEY = f"sk-{'0123456789abcdef' * 4}"
KEY = "made-up-key"

READ = ToolUse("read_file", {"path": "prices.py"})
CHECK = ToolUse("run_command", {"command": "check --all"})
LAST_WORDS = "From “prices.py” ✓."
SCRIPT = [Answer(("I look around.", READ)), Answer((READ, CHECK)), Answer((LAST_WORDS,))]

_START_SECONDS = 300.0
# What LiteLLM makes up itself where it translates an answer.
_MADE_UP = ("id", "created", "created_at")


@contextmanager
def litellm(directory: Path, certificate: Path, proxy: str) -> Iterator[str]:
    """Start it as the page says, in `directory`; gives its address."""
    directory.mkdir()
    (directory / "config.yaml").write_text(snippet(PAGE, "yaml"), encoding="utf-8")
    port = str(free_port())
    script = snippet(
        PAGE, "sh", replacing={CERTIFICATE: str(certificate), PROXY: proxy, f"--port {PORT}": f"--port {port}"}
    )
    keys = {"LITELLM_MASTER_KEY": MASTER_KEY, "AZURE_API_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    address = f"http://127.0.0.1:{port}"
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            ["sh", "-e"],
            cwd=directory,
            env=environment(directory, keys),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdin is not None
        with process.stdin:
            process.stdin.write(script.encode())
    try:
        up = wait_for(lambda: process.poll() is not None or _answers(address), _START_SECONDS)
        assert up, (directory / "log").read_text()
        assert process.poll() is None, (directory / "log").read_text()
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(address: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/health/liveliness", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@dataclass(frozen=True)
class Both:
    """The same conversations through LiteLLM twice: straight to the stand-in, and through the addon.

    The second LiteLLM still runs at `address`, with `way` behind it; the real Claude Code works in `work`.
    """

    straight: list[Request]
    straight_decoded: dict[str, list[Any]]
    through: list[Exchange]
    decoded: dict[str, list[Any]]
    way: Route
    address: str
    work: Path


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    home = tmp_path_factory.mktemp("home")
    work = home / "work"
    make_project(work)
    script = [_one_of(SCRIPT, session(work), turn) for turn in range(len(session(work)))]

    def talk(address: str) -> dict[str, list[Any]]:
        program = [str(PYTHON), "-m", "tests.e2e.sdks.gateway_client", address, MASTER_KEY]
        decoded: dict[str, list[Any]] = json.loads(run(program, PROJECT, environment(home, {})))
        return decoded

    with ExitStack() as stack:
        near, far = (stack.enter_context(Foundry(script)) for _ in range(2))
        tunnel = stack.enter_context(ConnectProxy(near.port))
        way = stack.enter_context(proxied(far, home / "route"))
        at_once = stack.enter_context(ThreadPoolExecutor())
        starting = [
            litellm(home / "straight", near.ca_path, f"http://127.0.0.1:{tunnel.port}"),
            litellm(home / "through", way.proxy.certificate, way.proxy.url),
        ]
        addresses = list(at_once.map(stack.enter_context, starting))
        straight_decoded, decoded = at_once.map(talk, addresses)
        wait_for(lambda: way.proxy.log().count(" outcome=") >= len(far.requests))
        yield Both(near.requests, straight_decoded, way.exchanges(), decoded, way, addresses[1], work)


def _one_of(script: list[Answer], other: list[Answer], turn: int) -> Callable[[Request], Answer]:
    """What is due at `turn`: from `other` to Claude Code, which has a tool named Bash, from `script` to all others."""

    def answer(request: Request) -> Answer:
        is_claude_code = any(tool.get("name") == "Bash" for tool in request.json.get("tools", ()))
        due = other if is_claude_code else script
        return due[min(turn, len(due) - 1)]

    return answer


def without_made_up(value: Any) -> Any:
    """`value` without what differs from one run of LiteLLM to the next."""
    if isinstance(value, list):
        return [without_made_up(one) for one in value]
    if isinstance(value, dict):
        return {key: without_made_up(one) for key, one in value.items() if key not in _MADE_UP}
    return value


def test_litellm_sends_the_same_as_without_the_addon(both: Both) -> None:
    assert len(both.straight) == len(both.through) >= 3 * len(both.decoded)
    for straight, through in zip(both.straight, both.through, strict=True):
        same_request(straight, through)


def test_every_wire_format_is_asked_for(both: Both) -> None:
    assert {exchange.sent_path.partition("?")[0] for exchange in both.through} == {
        "/anthropic/v1/messages",
        "/anthropic/v1/messages/count_tokens",
        "/openai/deployments/my-gpt/chat/completions",
        "/openai/responses",
    }


def test_what_litellm_sent_arrives_and_results_come_back(both: Both) -> None:
    for exchange in both.through:
        verify(exchange)
        assert KEY in (exchange.arrived.header("api-key") or "", exchange.arrived.header("x-api-key") or "")
    for turns in conversations(both.through).values():
        verify_prefixes(turns)


def test_clients_of_litellm_decode_the_same_as_without_the_addon(both: Both) -> None:
    assert without_made_up(both.decoded) == without_made_up(both.straight_decoded)
    for variant, decoded in both.decoded.items():
        assert LAST_WORDS in json.dumps(decoded, ensure_ascii=False), variant
        streams = [entry for entry in decoded if isinstance(entry, list)]
        assert len(streams) == (len(SCRIPT) if "stream" in variant.split() else 0)


def test_every_conversation_gets_smaller(both: Both) -> None:
    found = conversations(both.through)
    assert len(found) == len(both.decoded)
    for turns in found.values():
        last = turns[-1]
        assert len(last.arrived.body) < 0.8 * len(last.sent)


def test_the_proxy_understood_all_and_told_nothing(both: Both) -> None:
    log = both.way.proxy.log()
    assert "outcome=not-understood" not in log
    assert KEY not in log


class ClaudeCodeOnGateway(ClaudeCode):
    """Claude Code as the page sets it up: it knows LiteLLM alone, and neither Foundry nor the addon."""

    def environment(self) -> dict[str, str]:
        inherited = super().environment()
        for name in ("CLAUDE_CODE_USE_FOUNDRY", "ANTHROPIC_FOUNDRY_RESOURCE", "ANTHROPIC_FOUNDRY_API_KEY"):
            del inherited[name]
        del inherited["HTTPS_PROXY"], inherited["NODE_EXTRA_CA_CERTS"]
        return inherited


@NEEDS_CLIENT
def test_the_real_claude_code_works_through_litellm_and_gets_smaller(both: Both, tmp_path: Path) -> None:
    variables = {"ANTHROPIC_BASE_URL": both.address, "ANTHROPIC_AUTH_TOKEN": MASTER_KEY}
    client = ClaudeCodeOnGateway(tmp_path, both.work, "", Path(), "my-claude", variables)
    done = client.run("Rename the twelfth item.")
    found = both.way.exchanges()[len(both.through) :]

    assert (done.code, done.out) == (0, "The session is over.\n"), done.err
    for exchange in found:
        verify(exchange)
    last = messages_exchanges(found)[-1]
    assert len(last.sent) - len(last.arrived.body) > 0.3 * sum(map(len, results(last.arrived.json)))
