from __future__ import annotations

import json
from pathlib import Path

import pytest

from estimate_savings.bill import Usage
from estimate_savings.transcripts import Compaction, default_folder, find, read
from tests.scripts.estimate_savings.invented import InventedTranscript, usage


def test_the_default_folder_is_the_clients_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    assert default_folder() == tmp_path / ".claude/projects"
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", "~/elsewhere")
    assert default_folder() == tmp_path / "elsewhere/projects"


def test_files_are_found_in_folders_each_once(tmp_path: Path) -> None:
    deep = InventedTranscript().write(tmp_path / "a/session/subagents", "agent-1.jsonl")
    flat = InventedTranscript().write(tmp_path / "a")
    (tmp_path / "a/notes.txt").write_text("no transcript")
    (tmp_path / "a/folder.jsonl").mkdir()
    assert find([tmp_path, flat, tmp_path / "a"]) == [deep, flat]
    with pytest.raises(FileNotFoundError, match=r"there is no .*nowhere"):
        find([tmp_path / "nowhere"])


def test_messages_are_read_and_the_rest_only_keeps_its_place(tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Hello.")
    invented.add("attachment", attachment={"type": "skill_listing"})
    invented.answer("1", usage(plain=3), "Hi.")
    invented.answer("2", None, "API Error: 529", isApiErrorMessage=True)
    invented.lines.append({"type": "summary", "summary": "x", "leafUuid": "y"})
    transcript = read(invented.write(tmp_path))

    assert (transcript.project, transcript.session) == ("/home/someone/project", "session-1")
    hello, attachment, answer, error = transcript.entries
    assert (hello.role, hello.content, hello.parent) == ("user", [{"type": "text", "text": "Hello."}], "")
    assert (attachment.role, attachment.adds_unknown, attachment.parent) == ("", True, hello.uuid)
    assert (answer.role, answer.request, answer.model) == ("assistant", "msg_1 req_1", "claude-made-up")
    assert answer.usage == Usage(plain=3)
    assert (error.role, error.parent) == ("", answer.uuid)


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"\xff\xfe",
        b"\0\0\0\0",
        b"[1]",
        b"17",
        b'"text"',
        b"[" * 100_000,
        b'{"type":"assistant","uuid":"u","message":',
    ],
)
def test_a_broken_line_is_counted_and_passed_over(tmp_path: Path, line: bytes) -> None:
    file = InventedTranscript().write(tmp_path)
    good = json.dumps({"type": "user", "uuid": "u", "message": {"role": "user", "content": "Hello."}}).encode()
    file.write_bytes(line + b"\n\n" + good)
    transcript = read(file)
    assert transcript.unreadable == 1
    assert [entry.uuid for entry in transcript.entries] == ["u"]


@pytest.mark.parametrize(
    "value",
    [
        {"type": "user"},
        {"type": "user", "uuid": "u"},
        {"type": "user", "uuid": "u", "message": "Hello."},
        {"type": "user", "uuid": "u", "message": {"content": 17}},
        {"type": "assistant", "uuid": "u", "message": {"content": None, "usage": 3, "id": 4}},
        {"type": "assistant", "uuid": 3, "parentUuid": [], "message": {"content": [None, 3, {"type": {}}]}},
        {"type": "from the future", "uuid": "u", "parentUuid": "u"},
        {"type": "system", "subtype": "compact_boundary", "uuid": "u", "compactMetadata": {"preservedMessages": 3}},
    ],
)
def test_an_odd_line_is_no_message(tmp_path: Path, value: object) -> None:
    file = tmp_path / "odd.jsonl"
    file.write_text(json.dumps(value))
    transcript = read(file)
    assert transcript.unreadable == 0
    assert not any(entry.role for entry in transcript.entries)
    assert (transcript.project, transcript.session) == (tmp_path.name, "odd")


def test_an_empty_file_has_no_entries(tmp_path: Path) -> None:
    file = tmp_path / "empty.jsonl"
    file.touch()
    assert read(file).entries == []


def test_what_a_compaction_preserved_gets_new_parents(tmp_path: Path) -> None:
    invented = InventedTranscript()
    segment = {"headUuid": "h", "anchorUuid": "a", "tailUuid": "t"}
    messages = {"anchorUuid": "a", "uuids": ["h", "t"]}
    for metadata in ({"preservedSegment": segment}, {"preservedSegment": segment, "preservedMessages": messages}, None):
        invented.add("system", subtype="compact_boundary", compactMetadata=metadata)
    first, second, third = (entry.compaction for entry in read(invented.write(tmp_path)).entries)
    assert first == Compaction({"h": "a"}, "a", "t")
    assert second == Compaction({"h": "a", "t": "h"}, "a", "t")
    assert third == Compaction()
    assert second is not None
    assert [second.parent("h", "x"), second.parent("t", "x"), second.parent("new", "a"), second.parent("b", "c")] == [
        "a",
        "h",
        "t",
        "c",
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1970-01-02T00:00:01.500Z", 86_401.5),
        ("1970-01-01T02:00:00+02:00", 0),
        ("yesterday", None),
        (17, None),
        (None, None),
    ],
)
def test_when_a_line_was_written(given: object, expected: float | None, tmp_path: Path) -> None:
    invented = InventedTranscript()
    invented.say("Go.", timestamp=given)
    (entry,) = read(invented.write(tmp_path)).entries
    assert entry.at == expected
