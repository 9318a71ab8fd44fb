from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.utils.htpasswd import HtpasswdFile

from team_gateway import users
from team_gateway.users import UsersError


@given(st.from_regex(users._NAME, fullmatch=True))
def test_who_is_made_a_line_for_is_let_in_with_that_password_only(name: str) -> None:
    password = users.new_password()
    file = HtpasswdFile(users.line_for(name, password))
    assert file.check_password(name, password)
    assert not file.check_password(name, users.new_password())
    assert not file.check_password("another", password)


def test_passwords_stand_for_themselves_in_an_address() -> None:
    assert len({users.new_password() for _ in range(20)}) == 20
    assert all(character.isalnum() or character in "-_" for character in users.new_password())


@pytest.mark.parametrize("name", ["", "anna:admin", "anna\n", "an na", "#anna", "a" * 65, "ä"])
def test_a_name_that_would_be_read_as_something_else_is_refused(name: str) -> None:
    with pytest.raises(UsersError, match="cannot be a name"):
        users.line_for(name, "password")


def test_lines_come_from_the_file_that_is_named_or_from_the_variable(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("# the team\n\n" + users.line_for("anna", "secret"))
    assert "anna" in users.read({users.FILE_VARIABLE: str(file)})
    lines = users.line_for("ben", "secret")
    assert users.read({users.LINES_VARIABLE: lines, users.FILE_VARIABLE: str(file)}) == lines


def test_what_lets_nobody_in_is_told_of_with_a_remedy(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(UsersError, match=r"there is no .*missing.*--new-user NAME.*FOUNDRY_GATEWAY_USERS_FILE"):
        users.read({users.FILE_VARIABLE: str(missing)})
    missing.write_text("# nobody yet\n")
    with pytest.raises(UsersError, match="names nobody"):
        users.read({users.FILE_VARIABLE: str(missing)})
    with pytest.raises(UsersError, match="cannot be read"):
        users.read({users.FILE_VARIABLE: str(tmp_path)})
    missing.write_bytes(b"\xff")
    with pytest.raises(UsersError, match="UTF-8"):
        users.read({users.FILE_VARIABLE: str(missing)})


@pytest.mark.parametrize("line", ["anna hunter2", "anna:hunter2", ":hunter2", "anna:$apr1$hunter2"])
def test_a_line_that_mitmproxy_does_not_read_is_named_by_number_and_never_quoted(line: str) -> None:
    with pytest.raises(UsersError, match=r"line 2 of FOUNDRY_GATEWAY_USERS ") as raised:
        users.read({users.LINES_VARIABLE: f"{users.line_for('ben', 'secret')}\n{line}\n"})
    assert "hunter2" not in str(raised.value)
