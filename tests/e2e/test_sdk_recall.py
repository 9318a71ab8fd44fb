"""Old results are set aside and read back in every wire format, by agents that are made with real SDKs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.answers import Answer, ToolUse
from demo.stand_in import Request
from tests.e2e.laws import STUB, Exchange
from tests.e2e.route import proxied
from tests.e2e.sdks import tools
from tests.e2e.sdks.environment import NEEDS_PYTHON_SDKS, PROJECT, PYTHON, environment, run
from tests.e2e.sdks.foundry import Foundry
from tests.e2e.sdks.laws import conversations, results, verify, verify_prefixes
from tests.e2e.set_aside_sessions import OPTIONS, PAUSE

pytestmark = [pytest.mark.e2e, NEEDS_PYTHON_SDKS]

READ = ToolUse("read_file", {"path": "prices.py"})
NEWEST = ToolUse("run_command", {"command": "ls"})
LAST_WORDS = "I have what I need."
BEFORE = 3
"""How many answers come before the pause."""


def has_reader(body: dict[str, Any]) -> bool:
    return READ.name in json.dumps(body["tools"])


def look(request: Request) -> Answer:
    """A result that will be old: of the file, or of a command whose output is no shorter."""
    return Answer((READ if has_reader(request.json) else ToolUse("run_command", {"command": "cat prices.py"}),))


def ask_back(request: Request) -> Answer:
    """Read the path in the line that stands for the old result, if one does."""
    stub = STUB.search(request.body.decode())
    return Answer((ToolUse(READ.name, {"path": stub[2]}),)) if stub else Answer((LAST_WORDS,))


SCRIPT: list[Answer | Callable[[Request], Answer]] = [
    look,
    Answer((NEWEST,)),
    Answer(("I have looked.",)),
    ask_back,
    Answer((LAST_WORDS,)),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Exchange]]:
    """What was sent and what arrived, by the kind of conversation."""
    home: Path = tmp_path_factory.mktemp("home")
    with Foundry(SCRIPT) as foundry, proxied(foundry, home / "route", addon=True, **OPTIONS) as way:
        given = {"HTTPS_PROXY": way.proxy.url, "SSL_CERT_FILE": str(way.proxy.certificate)}
        program = [str(PYTHON), "-m", "tests.e2e.sdks.returning_client", str(way.clock), str(PAUSE)]
        last = json.loads(run(program, PROJECT, environment(home, given)))
        exchanges = way.exchanges()
    assert all(LAST_WORDS in json.dumps(answer) for answer in last.values())
    turns = conversations(exchanges)
    return dict(zip(last, (turns[question] for question in map(_question, last)), strict=True))


def _question(kind: str) -> str:
    return json.dumps(tools.question(kind.replace(" ", " with ")))


@pytest.mark.parametrize("api", ["messages", "chat", "responses"])
def test_what_is_set_aside_comes_back_to_an_agent_that_reads_files(api: str, found: dict[str, list[Exchange]]) -> None:
    turns = found[f"{api} {READ.name}"]
    assert len(turns) == BEFORE + 2
    for exchange in turns[:BEFORE]:
        verify(exchange)
    for exchange in turns[BEFORE:]:
        verify(exchange, all_in_view=False)
    verify_prefixes(turns[:BEFORE])
    verify_prefixes(turns[BEFORE:])

    original = tools.run(READ.name, READ.input)
    *_, before_reading, after_reading = turns
    assert next(results(json.loads(before_reading.sent))) == original
    assert STUB.fullmatch(next(results(before_reading.arrived.json)))
    assert list(results(json.loads(after_reading.sent)))[-1].startswith("Error: no such file: .foundry-compress/")
    assert list(results(after_reading.arrived.json))[-1] == original


@pytest.mark.parametrize("api", ["messages", "chat", "responses"])
def test_nothing_is_set_aside_for_an_agent_that_reads_none(api: str, found: dict[str, list[Exchange]]) -> None:
    turns = found[f"{api} run_command"]
    assert len(turns) == BEFORE + 1
    for exchange in turns:
        verify(exchange)
        assert STUB.search(exchange.arrived.body.decode()) is None
