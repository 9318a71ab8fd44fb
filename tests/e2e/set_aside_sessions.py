"""Sessions in which results are set aside: what the stand-in says in them, and what is found in their requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compression_engine.reminders import up_to_the_last
from demo.answers import Answer, Refusal
from demo.stand_in import Request, Script
from tests.e2e.ahead import put_ahead
from tests.e2e.laws import STUB, Exchange, Result, messages_exchanges, verify
from tests.e2e.route import AHEAD, clock_of, route
from tests.e2e.scripted import SOURCE, bash, read

__all__ = [
    "BALANCED",
    "LIFETIME",
    "LOOKED",
    "OPTIONS",
    "PAUSE",
    "WARM",
    "by_turn",
    "files",
    "found_after_a_pause",
    "look_around",
    "path_to",
    "paths",
    "pause_in_session",
    "permission_denials",
    "said",
    "stubs",
]

LIFETIME = 600.0
"""Seconds that a prompt cache lives: no machine is so slow that it expires by itself."""
PAUSE = LIFETIME + 1
"""Seconds after which it has expired: the proxy's clock is put forward by so many."""

BALANCED = {"foundry_mode": "balanced", "foundry_recent_tokens": "100"}
WARM = {**BALANCED, "foundry_cache_ttl": f"{LIFETIME:g}"}
"""Options of a proxy that sets aside whatever is old and large, but to which all conversations are warm."""
OPTIONS = {**WARM, "clock": AHEAD}
"""Of a route with such a proxy whose clock can be put forward: after a `PAUSE` they are cold to it."""

LOOKED = 3
"""How many turns `look_around` takes."""

type Step = Answer | Refusal | Callable[[Request], Answer | Refusal]


def look_around(work: Path) -> list[Answer]:
    """What the stand-in says first: a file and hits that will be old, and an output that is the newest for now."""
    return [
        Answer(("I look around.", read(work / SOURCE), bash("grep -rn price_of_ ."))),
        Answer((bash("cat orders.py quotes.py"),)),
        Answer(("I have looked.",)),
    ]


def found_after_a_pause(script: Script, tmp_path: Path, work: Path) -> list[Exchange]:
    """Let the real client look around, and go on when the prompt cache has expired.

    Fails if it does not come to its end, or if what arrived breaks a law.
    """
    with route(script, tmp_path / "route", addon=True, **OPTIONS) as way:
        way.client(work).run("Look around.")
        way.let_pass(PAUSE)
        run = way.client(work).run("Go on.", "-c")
        found = messages_exchanges(way.exchanges())

    assert (run.code, run.said) == (0, {"Done."}), run.err
    verify(found, LIFETIME)
    return found


def answer_of(result: Result) -> str:
    """What arrived, without the reminders that the client may have put behind its own answer."""
    own = result.sent.removeprefix(up_to_the_last(result.sent))
    assert result.arrived.endswith(own)
    return result.arrived.removesuffix(own)


def pause_in_session(directory: Path) -> Callable[[Request], Answer]:
    """Let the prompt cache expire between two turns, to the proxies of the route in this directory."""

    def pause(_: Request) -> Answer:
        put_ahead(clock_of(directory), PAUSE)
        return Answer((bash("echo slept"),))

    return pause


def by_turn(*steps: Step) -> Callable[[Request], Answer | Refusal]:
    """A script of steps, some of which look at the request first."""

    def answer(request: Request) -> Answer | Refusal:
        step = steps[request.turn] if request.turn < len(steps) else Answer(("Done.",))
        try:
            return step(request) if callable(step) else step
        except (LookupError, ValueError) as problem:
            return Answer((f"The script failed at turn {request.turn}: {problem!r}",))

    return answer


def stubs(request: Request) -> list[str]:
    """The lines in a request as it arrived that stand for something, in order."""
    texts = [said(block) for block in _results(request.json["messages"])]
    return [found[0] for text in texts for found in STUB.finditer(text)]


def paths(request: Request) -> list[str]:
    """The paths in those lines."""
    return [found[2] for line in stubs(request) if (found := STUB.search(line))]


def path_to(request: Request, about: str) -> str:
    """The path that brings back what the line says is `about`; LookupError if there is none, ValueError if several."""
    (path,) = {path for line, path in zip(stubs(request), paths(request), strict=True) if about in line}
    return path


def said(block: dict[str, Any]) -> str:
    """The text of a tool result."""
    content = block.get("content", "")
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def files(directory: Path) -> set[str]:
    """All that there is in a directory."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


def _results(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    contents = [message["content"] for message in messages if isinstance(message["content"], list)]
    return [block for content in contents for block in content if block["type"] == "tool_result"]


def permission_denials(out: str) -> list[Any]:
    """What the client told in `--output-format json` of calls that it refused."""
    denials: list[Any] = json.loads(out)["permission_denials"]
    return denials
