from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests.web_view.flows import made_flow
from web_view.export import exported, write_private
from web_view.pairs import Pair

SECRET = "made-up-secret"


def test_there_are_no_credentials_in_it() -> None:
    secrets = dict.fromkeys(("x_api_key", "api_key", "authorization", "cookie", "proxy_authorization", "x_own"), SECRET)
    flow = made_flow(b"{}", **secrets, user_agent="made-up/1")
    flow.request.path = f"/anthropic/v1/messages?key={SECRET}"
    text = exported(flow, Pair(b"before", b"after"))
    document = json.loads(text)
    assert SECRET not in text
    assert ["user-agent", "made-up/1"] in document["headers"]
    for name in secrets:
        assert [name.replace("_", "-"), "(left out)"] in document["headers"]
    assert document["path"] == "/anthropic/v1/messages"
    assert (document["method"], document["before"], document["after"]) == ("POST", "before", "after")


@pytest.mark.parametrize("body", ['{"a": "ü→\\ud800"}'.encode(), b"\xff\xfe", bytes(range(256))])
def test_bodies_come_back_byte_for_byte(body: bytes) -> None:
    document = json.loads(exported(made_flow(b""), Pair(body, body)).encode())
    assert document["before"].encode(errors="surrogateescape") == body
    assert document["after"].encode(errors="surrogateescape") == body


def test_the_file_is_for_its_owner_only_whatever_was_there(tmp_path: Path) -> None:
    file, other, link = tmp_path / "a", tmp_path / "b", tmp_path / "link"
    for there in (file, other):
        there.write_text("old and longer", encoding="utf-8")
        there.chmod(0o644)
    link.symlink_to(other)
    for path in (file, link, tmp_path / "new"):
        write_private(path, "new")
        assert path.read_text(encoding="utf-8") == "new"
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert other.read_text(encoding="utf-8") == "old and longer", "what a link leads to stays"
    assert len(list(tmp_path.iterdir())) == 4


def test_a_directory_stays(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no file"):
        write_private(tmp_path, "new")


def test_nothing_is_left_behind_where_it_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_private(tmp_path / "a", "new")
    assert list(tmp_path.iterdir()) == []
