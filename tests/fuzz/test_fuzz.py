"""The targets of the fuzzer, with what it found, with bytes drawn by a seed, and guided for a moment."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from compression_engine import Outcome, Policy, Rewrite, WireFormat
from tests.fuzz.json_tokens import Token, tokens_of
from tests.fuzz.laws import Broken, check_rewrite
from tests.fuzz.targets import TARGETS

PROJECT = Path(__file__).resolve().parents[2]
CORPUS = Path(__file__).with_name("corpus")
FOUND = sorted(path for path in CORPUS.glob("*/*") if path.is_file())

# How many inputs each target gets: together about half a minute.
DRAWN = {"anthropic": 120, "chat": 120, "responses": 120, "text": 600, "work": 60, "conversations": 20}
DRAWN_OF_OTHERS = 3_000
GUIDED = {"anthropic": 400, "text": 800, "usage": 800, "any_body": 500, "body": 20_000}


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_once_holds(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_there_is_something_of_every_target() -> None:
    assert {path.parent.name for path in FOUND} == set(TARGETS)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_what_a_seed_draws_holds(name: str) -> None:
    drawn = random.Random(f"foundry {name}")
    for _ in range(DRAWN.get(name, DRAWN_OF_OTHERS)):
        data = drawn.randbytes(drawn.choice((10, 60, 200, 600)))
        try:
            TARGETS[name](data)
        except BaseException as error:
            error.add_note(f"tests.fuzz.targets.{name}(bytes.fromhex({data.hex()!r}))")
            raise


@pytest.mark.slow
@pytest.mark.parametrize(("name", "runs"), GUIDED.items())
def test_what_the_fuzzer_finds_in_a_moment_holds(name: str, runs: int, tmp_path: Path) -> None:
    """It starts with what is in the corpus, and draws the same each time."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("atheris has wheels for Linux on x86_64 only")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    command = [str(PROJECT / "scripts" / "fuzz"), name, f"-runs={runs}", "-seed=1", "-max_len=4000", "-len_control=0"]
    done = subprocess.run([*command, str(corpus)], cwd=tmp_path, capture_output=True, check=False)
    said = done.stderr.decode(errors="replace")
    if done.returncode == 2 and "could not install atheris" in said:
        pytest.skip(said.strip().splitlines()[-1])
    assert done.returncode == 0, said[-4000:]
    assert f"Done {runs} runs" in said
    assert list(corpus.iterdir()), "no input took another way than those before: nothing is instrumented"


# The laws themselves notice what breaks them


RAW = (
    b'{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":'
    b'"Read","input":{"file_path":"a"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":'
    b'"1\\tone two three\\n2\\tone two three\\n3\\tone two three","is_error":true}]}]}'
)


@pytest.mark.parametrize(
    ("before", "after", "law"),
    [
        (b'"content":"x"', b'"content":"y"', "only texts of results change"),
        (b'"name":"Read"', b'"name":"Edit"', "only texts of results change"),
        (b'"id":"t"', b'"id": "t"', "what is around values stays"),
        (b'{"role":"user","content":"x"},', b"", "the same values"),
        (b'"messages"', b'"massages"', "every value stays in its place"),
        (b"]}]}", b"]}]} ", "what is behind the values stays"),
        (b"one two three\\n2", b"one two\\n2", "nothing is lost"),
        (b"true", b"null", "a recalled result is no error"),
    ],
)
def test_a_change_is_noticed(before: bytes, after: bytes, law: str) -> None:
    changed = RAW[::-1].replace(before[::-1], after[::-1], 1)[::-1]
    assert changed != RAW
    with pytest.raises(Broken, match=law):
        check_rewrite(RAW, Rewrite(changed, Outcome.REWRITTEN), WireFormat.ANTHROPIC_MESSAGES, Policy())


def test_a_copy_is_no_client_s_own_body() -> None:
    copy = Rewrite(RAW[:5] + RAW[5:], Outcome.NOTHING_TO_DO)
    with pytest.raises(Broken, match="own"):
        check_rewrite(RAW, copy, WireFormat.ANTHROPIC_MESSAGES, Policy())


def test_values_are_found_by_their_way() -> None:
    found = tokens_of(b'{"a": [1, {"b\\u0063": "x,]"}], "c":null}')
    assert found == [Token(("a", 0), 7, 8), Token(("a", 1, "bc"), 22, 27), Token(("c",), 35, 39)]
