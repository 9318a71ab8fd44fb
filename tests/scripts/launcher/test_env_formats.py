from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from launcher.env_formats import FORMATS, render
from launcher.errors import LauncherError

SECONDS = 120
NAMES = ("HTTPS_PROXY", "NODE_EXTRA_CA_CERTS")
# What an environment can hold: everything but NUL, and bytes that are no UTF-8 as Python reads them.
ANY = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
BYTES = st.binary(max_size=20).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"")))
NASTY = "it's \"$HOME\" `id` \\ \\' \u2018\u2019\u201a\u201b\n* ~ # %PATH% $(id) ; & | !\t\r é🦊 \\\\"


def test_the_forms_are_these() -> None:
    assert list(FORMATS) == ["sh", "fish", "powershell", "json", "docker", "github", "vscode"]


# A real shell reads it


def through(command: list[str], script: str) -> list[str]:
    """What the variables hold once a shell has read the `script`."""
    show = f'/usr/bin/env -0 | grep -z -E "^({"|".join(NAMES)})="'
    done = subprocess.run(
        [*command, f"{script}{show}"], env={"PATH": "/usr/bin:/bin"}, capture_output=True, timeout=SECONDS, check=True
    )
    found = dict(item.split("=", 1) for item in os.fsdecode(done.stdout).split("\0") if item)
    return [found[name] for name in NAMES]


@given(st.lists(ANY | BYTES, min_size=2, max_size=2))
@example([NASTY, ""])
@settings(max_examples=60)
def test_sh_reads_what_was_written(values: list[str]) -> None:
    assert through(["sh", "-c"], render("sh", dict(zip(NAMES, values, strict=True)))) == values


@given(ANY | BYTES)
@example(NASTY)
@settings(max_examples=30)
def test_eval_of_a_substitution_reads_what_was_written(value: str) -> None:
    """As the guide says it: `eval "$(…)"`."""
    written = os.fsencode(render("sh", {NAMES[0]: value, NAMES[1]: "last"}))
    script = f'eval "$(cat)"; printf %s "${NAMES[0]}"'
    done = subprocess.run(["sh", "-c", script], input=written, capture_output=True, timeout=SECONDS, check=True)
    assert os.fsdecode(done.stdout) == value


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
@pytest.mark.slow
@given(st.lists(ANY, min_size=2, max_size=2))
@example([NASTY, ""])
@settings(max_examples=25)
def test_fish_reads_what_was_written(values: list[str]) -> None:
    written = render("fish", dict(zip(NAMES, values, strict=True)))
    assert through(["fish", "--no-config", "-c"], written) == values


# The rules of a shell's single quotes, where the shell itself may not be there


def fish_words(line: str) -> list[str]:
    """In single quotes, fish knows two escapes: \\' and \\\\; everything else stands for itself."""
    words = re.findall(r"'((?:\\['\\]|[^'])*)'|(\S+)", line)
    return [plain or re.sub(r"\\(['\\])", r"\1", quoted) for quoted, plain in words]


@given(ANY)
@example(NASTY)
def test_fish_by_its_rules(value: str) -> None:
    assert fish_words(render("fish", {"NAME": value})[:-1]) == ["set", "-gx", "NAME", value]


def powershell_value(line: str) -> str:
    """A string in single quotes: two of any single quote, straight or not, stand for one; one ends it."""
    start = len("$env:NAME = '")
    assert line[:start] == "$env:NAME = '"
    value, at = "", start
    while True:
        if line[at] in "'\u2018\u2019\u201a\u201b":
            if at + 1 == len(line):
                return value
            assert line[at + 1] in "'\u2018\u2019\u201a\u201b"
            at += 1
        value += line[at]
        at += 1


@given(ANY)
@example(NASTY)
def test_powershell_by_its_rules(value: str) -> None:
    assert powershell_value(render("powershell", {"NAME": value})[:-1]) == value


@given(st.dictionaries(st.sampled_from(NAMES), ANY))
def test_json_is_a_settings_file(variables: dict[str, str]) -> None:
    assert json.loads(render("json", variables)) == {"env": variables}


@given(st.dictionaries(st.sampled_from(NAMES), ANY))
def test_vscode_is_the_extensions_setting(variables: dict[str, str]) -> None:
    listed = json.loads(render("vscode", variables))["claudeCode.environmentVariables"]
    assert {entry["name"]: entry["value"] for entry in listed} == variables
    assert all(set(entry) == {"name", "value"} for entry in listed)


def docker_reads(text: str) -> dict[str, str]:
    """An env-file: white space before a name goes, `#` begins a comment there, and the rest of a line is the value."""
    lines = [line.lstrip() for line in text.split("\n")]
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@given(st.dictionaries(st.sampled_from(NAMES), ANY.filter(lambda value: not re.search(r"[\r\n]", value))))
def test_docker_takes_the_line_as_it_is(variables: dict[str, str]) -> None:
    assert docker_reads(render("docker", variables)) == variables
    assert render("github", variables) == render("docker", variables)


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\n"])
def test_docker_has_no_way_to_write_a_line_break(value: str) -> None:
    with pytest.raises(LauncherError, match="NO_PROXY holds a line break") as raised:
        render("docker", {"NO_PROXY": value})
    assert value not in str(raised.value)


@pytest.mark.parametrize("form", ["powershell", "json", "docker", "vscode"])
def test_bytes_that_are_no_text_are_refused_where_they_cannot_be_written(form: str) -> None:
    with pytest.raises(LauncherError, match="SSL_CERT_FILE holds bytes that are not UTF-8"):
        render(form, {"SSL_CERT_FILE": os.fsdecode(b"/caf\xe9/ca.pem")})
