"""Real SDKs talk to the stand-in, straight and through a real mitmdump with the addon: they see no difference."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.answers import Answer, ToolUse
from demo.stand_in import Request
from tests.e2e.connect_proxy import ConnectProxy
from tests.e2e.laws import Exchange
from tests.e2e.mitmdump import wait_for
from tests.e2e.route import proxied
from tests.e2e.sdks import tools
from tests.e2e.sdks.environment import (
    NEEDS_NODE_SDKS,
    NEEDS_PYTHON_SDKS,
    NODE_MODULES,
    PROJECT,
    PYTHON,
    environment,
    run,
)
from tests.e2e.sdks.foundry import Foundry
from tests.e2e.sdks.laws import conversations, format_of, same_request, verify, verify_prefixes

pytestmark = pytest.mark.e2e

READ = ToolUse("read_file", {"path": "prices.py"})
CHECK = ToolUse("run_command", {"command": "check --all"})
LAST_WORDS = "From “prices.py” ✓."
SCRIPT = [Answer(("I look around, naïvely.", READ)), Answer((READ, CHECK)), Answer((LAST_WORDS,))]

KEY, TOKEN = "made-up-key", "made-up-token"


@dataclass(frozen=True)
class Both:
    """One program run twice: straight to the stand-in, and through a mitmdump with the addon.

    `decoded` is what its SDK made of the answers, by the kind of conversation.
    """

    straight: list[Request]
    straight_decoded: dict[str, list[Any]]
    through: list[Exchange]
    decoded: dict[str, list[Any]]
    log: str


def trusting(authority: Path, proxy: str) -> dict[str, str]:
    """What an SDK must be told in its environment."""
    variables = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
    return {"HTTPS_PROXY": proxy} | dict.fromkeys(variables, str(authority))


def python_program(name: str, home: Path, variables: dict[str, str]) -> str:
    return run([str(PYTHON), "-m", f"tests.e2e.sdks.{name}"], PROJECT, environment(home, variables))


def node_program(name: str, home: Path, variables: dict[str, str]) -> str:
    """Run a program where node finds the SDKs, and give it the tools, which are written in Python."""
    directory = Path(tempfile.mkdtemp(dir=home))
    (directory / "node_modules").symlink_to(NODE_MODULES)
    program = Path(shutil.copy(PROJECT / "tests/e2e/sdks" / name, directory))
    variants = [f"{credential} {form}" for credential in ("key", "bearer") for form in ("whole", "stream")]
    given = {
        "questions": {variant: tools.question(variant) for variant in variants},
        "instructions": tools.INSTRUCTIONS,
        "parameters": tools.PARAMETERS,
        "results": {
            f"{call.name} {next(iter(call.input.values()))}": tools.run(call.name, call.input) for call in (READ, CHECK)
        },
    }
    return run(["node", str(program)], directory, environment(home, variables), json.dumps(given))


PROGRAMS = {
    "anthropic_client": python_program,
    "openai_client": python_program,
    "azure_client": python_program,
    "foundry_client.mjs": node_program,
}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("anthropic_client", marks=NEEDS_PYTHON_SDKS),
        pytest.param("openai_client", marks=NEEDS_PYTHON_SDKS),
        pytest.param("azure_client", marks=NEEDS_PYTHON_SDKS),
        pytest.param("foundry_client.mjs", marks=NEEDS_NODE_SDKS),
    ],
)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    name = request.param
    program = PROGRAMS[name]
    home = tmp_path_factory.mktemp("home")
    with (
        Foundry(SCRIPT) as near,
        ConnectProxy(near.port) as tunnel,
        Foundry(SCRIPT) as far,
        proxied(far, home / "route") as way,
        ThreadPoolExecutor() as at_once,
    ):
        straight = trusting(near.ca_path, f"http://127.0.0.1:{tunnel.port}")
        through = trusting(way.proxy.certificate, way.proxy.url)
        runs = [at_once.submit(program, name, home, variables) for variables in (straight, through)]
        straight_decoded, decoded = (json.loads(run.result()) for run in runs)
        # Each request is told of when the client has the last of its answer.
        wait_for(lambda: way.proxy.log().count(" outcome=") >= len(far.requests))
        yield Both(near.requests, straight_decoded, way.exchanges(), decoded, way.proxy.log())


def test_the_client_sends_the_same_as_without_the_proxy(both: Both) -> None:
    assert len(both.straight) == len(both.through) >= 4 * len(both.decoded)
    for straight, through in zip(both.straight, both.through, strict=True):
        same_request(straight, through)


def test_what_was_sent_arrives_with_headers_query_and_order_and_results_come_back(both: Both) -> None:
    for exchange in both.through:
        verify(exchange)
    for turns in conversations(both.through).values():
        verify_prefixes(turns)


def test_credentials_arrive(both: Both) -> None:
    for secret, kind in ((KEY, "key"), (TOKEN, "bearer")):
        arrived = [
            exchange
            for exchange in both.through
            if any(secret in value for name, value in exchange.arrived.headers if name.lower() != "host")
        ]
        asked = [variant for variant in both.decoded if kind in variant.split()]
        assert len(arrived) / len(both.through) == len(asked) / len(both.decoded) == 0.5


def test_answers_decode_as_without_the_proxy(both: Both) -> None:
    assert both.decoded == both.straight_decoded
    for variant, decoded in both.decoded.items():
        whole = json.dumps(decoded, ensure_ascii=False)
        assert LAST_WORDS in whole
        assert READ.name in whole
        assert CHECK.name in whole
        assert decoded[-1]["status"] == 404
        streams = [entry for entry in decoded if isinstance(entry, list)]
        assert len(streams) == (len(SCRIPT) if "stream" in variant.split() else 0)
        assert all(len(events) > 2 for events in streams)


def test_every_conversation_gets_smaller(both: Both) -> None:
    for turns in conversations(both.through).values():
        sent = max(len(exchange.sent) for exchange in turns)
        if sent < 5_000:  # one that was refused at once
            continue
        arrived = max(len(exchange.arrived.body) for exchange in turns)
        assert arrived < 0.8 * sent, format_of(turns[0].sent_path)


def test_the_proxy_understood_all_and_told_nothing(both: Both) -> None:
    assert "outcome=not-understood" not in both.log
    assert both.log.count(" outcome=") == len(both.through)
    assert KEY not in both.log
    assert TOKEN not in both.log
