from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest

from team_gateway import own_user
from team_gateway.own_user import FOLDER_VARIABLE, FolderError, OwnUser

USER = OwnUser("127.0.0.1", 8080, "own-1", "secret", 7)


def test_what_was_put_is_read_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    place = tmp_path / "run"
    file = own_user.put(place, USER, "anna:{SHA}x\n")
    assert own_user.read(place) == USER
    assert file.read_text() == "anna:{SHA}x\n"
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert {stat.S_IMODE(one.stat().st_mode) for one in place.iterdir()} == {0o600}
    again = own_user.put(place, OwnUser("::1", 81, "own-2", "other", 8), "")
    assert own_user.read(place) == OwnUser("::1", 81, "own-2", "other", 8)
    assert sorted(one.name for one in place.iterdir()) == ["own-user.json", again.name]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"host": 1}', "null"])
def test_what_is_none_is_none(tmp_path: Path, text: str) -> None:
    assert own_user.read(tmp_path) is None
    (tmp_path / "own-user.json").write_text(text)
    assert own_user.read(tmp_path) is None


def test_a_folder_that_others_laid_out_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "link").symlink_to(elsewhere)
    with pytest.raises(FolderError, match="somebody else's"):
        own_user.put(tmp_path / "link", USER, "")
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    with pytest.raises(FolderError, match="somebody else's"):
        own_user.put(elsewhere, USER, "")
    assert list(elsewhere.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="tmpfs"):
        own_user.put(tmp_path / "file" / "run", USER, "")


def test_the_folder_is_named_or_this_users_own() -> None:
    assert own_user.folder({FOLDER_VARIABLE: "/run/it"}) == Path("/run/it")
    assert own_user.folder({}).name == f"foundry-gateway-{os.getuid()}"


def test_as_whom_it_is_asked() -> None:
    scheme, value = USER.authorization.split()
    assert (scheme, base64.b64decode(value)) == ("Basic", b"own-1:secret")
    assert USER.address == "http://own-1:secret@127.0.0.1:8080"
    assert OwnUser("::1", 81, "a", "b", 1).address == "http://a:b@[::1]:81"
