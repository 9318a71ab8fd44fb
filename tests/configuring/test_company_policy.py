from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configuring import company_policy
from configuring.company_policy import CompanyPolicy, PolicyError, in_force, load
from configuring.possible_values import Mode

PAGE = Path(__file__).resolve().parents[2] / "docs" / "policy.md"
KEYS = ("modes", "mode", "extra_hosts", "may_add_hosts", "providers", "keep_days", "keep_mb", "holdout")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the policy is to stand."""
    path = tmp_path / "etc" / "policy.toml"
    path.parent.mkdir()
    monkeypatch.setattr(company_policy, "POLICY_FILE", path)
    return path


# What it says


def test_there_is_none(file: Path) -> None:
    assert load() is None
    assert in_force() is None
    assert load(file.with_name("another")) is None


def test_everything_that_can_be_said(file: Path) -> None:
    file.write_text(
        'modes = ["off", "lossless"]\nmode = "off"\n'
        'extra_hosts = ["https://Gate.Example:8443/x", "b.example", "r.openai.azure.com"]\nmay_add_hosts = false\n'
        'providers = ["vertex", "bedrock"]\n'
        "keep_days = 30\nkeep_mb = 100\nholdout = 12.5\n"
    )
    assert load() == CompanyPolicy(
        file=file,
        is_locked=False,
        modes=frozenset({"off", "lossless"}),
        mode="off",
        extra_hosts=("b.example", "gate.example"),
        may_add_hosts=False,
        providers=("bedrock", "vertex"),
        keep_days=30,
        keep_mb=100,
        holdout=0.125,
    )
    assert in_force() == load()


def test_an_empty_file_limits_nothing(file: Path) -> None:
    file.touch()
    policy = load()
    assert policy == CompanyPolicy(file, is_locked=False)
    assert policy.describe() == f"company policy {file} (not locked): no limits"


def test_the_example_of_the_page_can_be_used_and_shows_every_key(file: Path) -> None:
    examples = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(examples) == 1
    file.write_text(examples[0])
    policy = load()
    assert policy is not None
    assert policy.describe() == (
        f"company policy {file} (not locked): modes off observe lossless; mode lossless unless another is chosen; "
        "hosts gateway.example.com, no others; providers beside Foundry bedrock; ledger up to 30 days and 100 MB; "
        "holdout 10%"
    )
    assert all(re.search(rf"^{key} = ", examples[0], re.MULTILINE) for key in company_policy._KEYS)


def test_the_page_names_every_key_and_each_place() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert tuple(company_policy._KEYS) == KEYS
    assert [f"\n| `{key}` |" in text for key in KEYS] == [True] * len(KEYS)
    assert "/etc/foundry-compress/policy.toml" in text
    assert "/Library/Application Support/foundry-compress/policy.toml" in text


# What it cannot say


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('mdoe = "off"', "'mdoe' is no such key; the nearest is mode"),
        ("Modes = []", "'Modes' is no such key; the nearest is modes"),
        ("keep-days = 3", "'keep-days' is no such key; the nearest is keep_days"),
        ('"\\u001b[31m" = 3', r"'\x1b[31m' is no such key; the nearest is "),
        ("[hosts]\nextra_hosts = []", "'hosts' is no such key; the nearest is extra_hosts"),
        ('mode = "fast"', "mode: 'fast' is not possible; allowed are off, observe, lossless, balanced"),
        ("mode = 3", "mode: 3 is not possible; allowed are off, observe, lossless, balanced"),
        ('mode = "off"\nmodes = ["lossless"]', "mode: 'off' is not among the modes that are allowed"),
        ('modes = "off"', "modes: 'off' is not possible; allowed is a list of texts"),
        ("modes = []", "modes: there must be at least one"),
        ('modes = ["off", "fast"]', "modes: 'fast' is not possible"),
        ('extra_hosts = "a.example"', "extra_hosts: 'a.example' is not possible; allowed is a list of texts"),
        ('extra_hosts = ["*.example"]', "extra_hosts: '*.example' is not possible; allowed are host names or URLs"),
        ('extra_hosts = ["10.0.0.4"]', "extra_hosts: '10.0.0.4' is not possible"),
        ("extra_hosts = [1]", "extra_hosts: [1] is not possible; allowed is a list of texts"),
        ("may_add_hosts = 0", "may_add_hosts: 0 is not possible; allowed are true and false"),
        ('may_add_hosts = "no"', "may_add_hosts: 'no' is not possible; allowed are true and false"),
        ('providers = ["azure"]', "providers: 'azure' is not possible; allowed are vertex, bedrock, anthropic"),
        ('providers = ["vertex:us"]', "providers: 'vertex:us' is not possible"),
        ("providers = true", "providers: True is not possible; allowed is a list of texts"),
        ("keep_days = 0", "keep_days: 0 is not possible; allowed is a whole number from 1 to 3650"),
        ("keep_days = true", "keep_days: True is not possible; allowed is a whole number from 1 to 3650"),
        ("keep_mb = 1.0", "keep_mb: 1.0 is not possible; allowed is a whole number from 1 to 65536"),
        ("holdout = 100.5", "holdout: 100.5 is not possible; allowed is a percentage from 0 to 100"),
        ("holdout = nan", "holdout: nan is not possible; allowed is a percentage from 0 to 100"),
        ("holdout = true", "holdout: True is not possible; allowed is a percentage from 0 to 100"),
        ("holdout = 1\nholdout = 2", "Cannot overwrite a value "),
        ("holdout", "Expected '=' after a key"),
        ("a = " + "[" * 100_000, ""),
        (f'mode = "{"x" * 1000}"', "mode: 'xxxxxx"),
    ],
)
def test_a_broken_file_is_named_in_one_short_line_and_nothing_is_allowed(text: str, said: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(PolicyError) as caught:
        load()
    line = str(caught.value)
    assert line.startswith(f"{file}: {said}")
    assert line.isprintable()
    assert len(line) < len(str(file)) + 250
    policy = in_force()
    assert policy is not None
    assert policy.error == line
    assert policy.describe() == f"company policy cannot be used, so nothing is rewritten ({line})"


def test_a_file_that_cannot_be_read_is_broken(file: Path) -> None:
    file.write_bytes(b"# \xff")
    with pytest.raises(PolicyError, match=r"policy\.toml: it is not UTF-8$"):
        load()
    file.unlink()
    file.mkdir()
    with pytest.raises(PolicyError, match=r"policy\.toml: Is a directory$"):
        load()
    with pytest.raises(PolicyError, match=r"below: Not a directory$"):
        load(_touched(file.with_name("file")) / "below")


def test_a_file_that_may_not_be_read_is_broken(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    file.touch()
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(PolicyError, match=r"policy\.toml: Permission denied$"):
        load()


@given(
    st.binary(max_size=60)
    | st.text(max_size=60).map(str.encode)
    | st.sampled_from(KEYS).map(lambda key: f"{key}=1".encode())
)
def test_whatever_is_in_the_file_it_is_a_policy_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any-policy.toml"
    file.write_bytes(data)
    policy = in_force(file)
    assert policy is not None
    assert policy.describe().isprintable()
    if not policy.error:
        assert load(file) == policy


# What follows from it


@pytest.mark.parametrize(
    ("modes", "mode", "usual"),
    [
        (None, None, "balanced"),
        (None, "observe", "observe"),
        ({"off", "balanced"}, None, "balanced"),
        ({"off", "lossless", "observe"}, None, "lossless"),
        ({"off"}, None, "off"),
        ({"off", "balanced"}, "off", "off"),
    ],
)
def test_the_mode_for_who_chooses_none(modes: set[str] | None, mode: str | None, usual: str) -> None:
    policy = CompanyPolicy(Path("p"), is_locked=True, modes=frozenset(modes) if modes else None, mode=mode)
    assert policy.usual_mode(Mode.BALANCED) == usual


def test_hosts_that_users_may_not_name() -> None:
    policy = CompanyPolicy(Path("/p"), is_locked=True, extra_hosts=("a.example",), may_add_hosts=False)
    hosts = ["c.example", "b.example", "a.example", "r.services.ai.azure.com", "b.example"]
    assert policy.refused_hosts(hosts) == ["b.example", "c.example"]
    assert policy.refused_host("OPTION", hosts) == (
        "OPTION: 'b.example' is beyond the company policy in /p; allowed is no host but Foundry's own, a.example"
    )
    assert policy.refused_host("OPTION", hosts[2:4]) == ""
    free = CompanyPolicy(Path("/p"), is_locked=True, extra_hosts=("a.example",))
    assert free.refused_hosts(hosts) == []
    assert "hosts a.example" in free.describe()
    none = CompanyPolicy(Path("/p"), is_locked=True, may_add_hosts=False)
    assert none.describe() == "company policy /p (locked): hosts none but Foundry's own"


@pytest.mark.parametrize(
    ("providers", "may_add_hosts", "allowed"),
    [
        (None, True, ("vertex", "bedrock", "anthropic")),
        (None, False, ()),
        (("bedrock",), True, ("bedrock",)),
        (("bedrock",), False, ("bedrock",)),
        ((), True, ()),
    ],
)
def test_providers_that_users_may_name(
    providers: tuple[str, ...] | None, may_add_hosts: bool, allowed: tuple[str, ...]
) -> None:
    policy = CompanyPolicy(Path("/p"), is_locked=True, may_add_hosts=may_add_hosts, providers=providers)
    assert policy.allowed_providers() == allowed
    for name in ("vertex", "bedrock:us-east-1", "anthropic"):
        refused = policy.refused_provider("OPTION", [name])
        assert (refused == "") is (name.partition(":")[0] in allowed)
        assert refused in (
            "",
            f"OPTION: '{name}' is beyond the company policy in /p; allowed is {' and '.join(allowed) or 'none'}",
        )
    assert policy.refused_provider("OPTION", []) == ""


def test_a_policy_against_all_providers_is_told_of() -> None:
    policy = CompanyPolicy(Path("/p"), is_locked=True, providers=())
    assert policy.describe() == "company policy /p (locked): providers beside Foundry none"


# Where it stands


@pytest.mark.parametrize(
    ("platform", "place"),
    [
        ("linux", "/etc/foundry-compress/policy.toml"),
        ("darwin", "/Library/Application Support/foundry-compress/policy.toml"),
    ],
)
def test_the_place_is_fixed(platform: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "PROGRAMDATA"):
        monkeypatch.setenv(name, "/elsewhere")
    assert str(company_policy._policy_file()) == place


@pytest.mark.parametrize(("registry", "folder"), [({"Common AppData": "D:/Data"}, "D:/Data"), ({}, "C:/ProgramData")])
def test_on_windows_the_registry_is_asked_and_not_the_environment(
    registry: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Key:
        def __enter__(self) -> dict[str, str]:
            return registry

        def __exit__(self, *_: object) -> None: ...

    def query(key: dict[str, str], name: str) -> tuple[Any, int]:
        if name not in key:
            raise FileNotFoundError(2, "no such value")
        return key[name], 1

    def open_key(hive: object, path: str) -> Key:
        assert (hive, path.rpartition("\\")[2]) == ("machine", "Shell Folders")
        return Key()

    fake = SimpleNamespace(HKEY_LOCAL_MACHINE="machine", OpenKey=open_key, QueryValueEx=query)
    monkeypatch.setitem(sys.modules, "winreg", fake)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("PROGRAMDATA", "E:/elsewhere")
    assert company_policy._policy_file() == Path(folder) / "foundry-compress" / "policy.toml"


# Whether it is locked


@pytest.fixture
def as_another(file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A locked policy, seen by a user to whom nothing belongs; permission bits hold him back even where root tests."""
    file.touch(mode=0o644)
    file.parent.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)

    def access(path: Path, _mode: int, **_: bool) -> bool:
        return bool(path.stat().st_mode & 0o002)

    monkeypatch.setattr(os, "access", access)
    monkeypatch.setattr(os, "supports_effective_ids", {access})
    return file


def _touched(path: Path) -> Path:
    path.touch()
    return path


def _is_locked(file: Path) -> bool:
    policy = load(file)
    assert policy is not None
    return policy.is_locked


def test_a_file_of_another_that_others_may_read_is_locked(as_another: Path) -> None:
    assert _is_locked(as_another)
    assert "(locked)" in str(load(as_another) and in_force(as_another).describe())  # type: ignore[union-attr]


def test_what_the_user_owns_is_not_locked_even_without_write_bits(
    as_another: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_another.chmod(0o444)
    monkeypatch.setattr(os, "geteuid", lambda: as_another.stat().st_uid)
    assert not _is_locked(as_another)


def test_for_root_nothing_is_locked(as_another: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not _is_locked(as_another)


def test_a_file_that_the_user_can_write_is_not_locked(as_another: Path) -> None:
    as_another.chmod(0o666)
    assert not _is_locked(as_another)


def test_a_file_that_the_user_can_replace_is_not_locked(as_another: Path) -> None:
    as_another.parent.chmod(0o777)
    assert not _is_locked(as_another)
    as_another.parent.chmod(0o1777)  # as in /tmp, where one cannot rename what belongs to others
    assert _is_locked(as_another)


def test_a_folder_above_that_the_user_can_replace_unlocks_it(as_another: Path) -> None:
    as_another.parent.parent.chmod(0o777)
    assert not _is_locked(as_another)


def test_a_link_is_followed_to_what_it_leads_to(as_another: Path, tmp_path: Path) -> None:
    open_folder = tmp_path / "open"
    open_folder.mkdir()
    target = _touched(open_folder / "real.toml")
    link = as_another.with_name("link.toml")
    link.symlink_to(target)
    assert _is_locked(link)
    open_folder.chmod(0o777)
    assert not _is_locked(link)


def test_what_cannot_be_told_is_not_locked(as_another: Path) -> None:
    assert not company_policy._is_locked(as_another.with_name("gone"))


def test_where_there_are_no_user_numbers_opening_it_is_tried(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.touch()
    monkeypatch.delattr(os, "geteuid")
    assert not _is_locked(file)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert company_policy._is_locked(file)


def test_a_real_file_of_roots_is_locked_for_whoever_is_not_root() -> None:
    assert company_policy._is_locked(Path("/etc/passwd")) is (os.geteuid() != 0)
