from __future__ import annotations

from pathlib import Path

import pytest

from whole_file import write_whole


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_what_is_written_is_there_with_its_permissions(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "file"
    assert write_whole(file, b"x", mode)
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"x", mode)
    assert list(tmp_path.iterdir()) == [file]


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_whole(file, b"x")
    before = file.stat().st_ino
    assert not write_whole(file, b"x")
    assert file.stat().st_ino == before
    assert write_whole(file, b"y")
    assert write_whole(file, b"y", 0o600)
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    write_whole(file, b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_nobody_else_reads_it_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    write = Path.write_bytes

    def look(file: Path, content: bytes) -> int:
        seen.append(file.stat().st_mode & 0o077)
        return write(file, content)

    monkeypatch.setattr(Path, "write_bytes", look)
    write_whole(tmp_path / "file", b"secret", 0o600)
    assert seen == [0]
