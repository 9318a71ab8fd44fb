from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from compression_engine import Engine, WireFormat
from tests.compression_engine.bodies import numbered, source_lines, turns
from tests.compression_engine.openai_bodies import CHAT, RESPONSES, body_in

BODY_SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "restore_body.py"


def restore(body: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, "-I", str(BODY_SCRIPT), *arguments]
    return subprocess.run(argv, input=body, capture_output=True, timeout=60, check=False)


def request() -> bytes:
    text = "\n".join(f"{number}\tvalue_{number} = compute(value_{number - 1}, {number})" for number in range(1, 200))
    use = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "/x/a.py"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": text}
    messages = [
        {"role": "user", "content": "Look at ä.py."},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    return json.dumps({"model": "m", "messages": messages}, ensure_ascii=False, separators=(",", ":")).encode()


def test_undoes_what_the_engine_did() -> None:
    sent = request()
    arrived = Engine().rewrite(sent, WireFormat.ANTHROPIC_MESSAGES).body
    assert len(arrived) < len(sent)
    done = restore(arrived)
    assert (done.returncode, done.stdout, done.stderr) == (0, sent, b"")


@pytest.mark.parametrize("wire_format", [CHAT, RESPONSES])
def test_in_the_formats_of_openai_too(wire_format: WireFormat) -> None:
    reading = numbered(source_lines(60))
    sent = body_in(
        wire_format, turns(("Read", {"file_path": "a.py"}, reading), ("Read", {"file_path": "a.py"}, reading))
    )
    arrived = Engine().rewrite(sent, wire_format).body
    assert len(arrived) < len(sent)
    done = restore(arrived)
    assert (done.returncode, done.stdout, done.stderr) == (0, sent, b"")


def test_an_untouched_body_comes_out_as_it_is() -> None:
    assert restore(request()).stdout == request()


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"[1]", b'{"output": []}'])
def test_what_is_no_request_is_handed_on_and_said(body: bytes) -> None:
    done = restore(body)
    assert (done.returncode, done.stdout) == (0, body)
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"restore: no rewritten request body")


def test_usage() -> None:
    assert restore(b"", "--help").returncode == 0
    assert restore(b"", "file.json").returncode == 2
