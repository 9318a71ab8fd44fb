from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from doctor_checks import report
from doctor_checks.examination import worst
from doctor_checks.finding import Finding, Verdict, failed, ok, skipped, warning

FINDINGS = [
    ok("Python", "3.12"),
    warning("sign-in", "no key is set", "set one"),
    failed("proxy", "nothing listens there", "start it"),
    skipped("last hour", "no request"),
]


def test_one_line_a_check_with_the_remedy() -> None:
    assert list(report.as_text(FINDINGS, None, colour=False)) == [
        "ok       Python     3.12",
        "warning  sign-in    no key is set → set one",
        "failed   proxy      nothing listens there → start it",
        "skipped  last hour  no request",
    ]


def test_on_a_terminal_lines_are_folded_and_coloured() -> None:
    lines = list(report.as_text([failed("proxy", "word " * 30 + "end", "start it")], 60, colour=True))
    assert "\x1b[1;31mfailed\x1b[0m  " in lines[0]
    folded = "\n".join(lines).replace("\x1b[1;31m", "").replace("\x1b[0m", "").splitlines()
    assert max(len(line) for line in folded) <= 60
    assert all(line.startswith(" " * 16) for line in folded[1:])


def test_a_narrow_terminal_is_left_to_fold_by_itself() -> None:
    (line,) = report.as_text([ok("Python", "word " * 30)], 20, colour=False)
    assert "\n" not in line


def test_the_last_line() -> None:
    assert report.summary(FINDINGS) == "1 failed, 1 warning; what to do stands behind each →."
    assert report.summary([FINDINGS[1], FINDINGS[1]]).startswith("2 warnings;")
    assert report.summary(FINDINGS[:1]) == "Everything that was looked at works."


def test_the_worst_verdict() -> None:
    assert worst(FINDINGS) is Verdict.FAILED
    assert worst(FINDINGS[:2]) is Verdict.WARNING
    assert worst([FINDINGS[0], FINDINGS[3]]) is Verdict.OK
    assert worst([]) is Verdict.OK


def test_json_holds_everything() -> None:
    text = report.as_json(FINDINGS, worst(FINDINGS))
    assert text.isascii()
    document = json.loads(text)
    assert document["verdict"] == "failed"
    assert [Finding(**each) for each in document["checks"]] == FINDINGS


SECRET = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=8)


@given(SECRET, SECRET, SECRET)
def test_what_is_secret_in_the_environment_never_shows(key: str, token: str, password: str) -> None:
    variables = {
        "ANTHROPIC_FOUNDRY_API_KEY": key,
        "SOME_TOKEN": token,
        "HTTPS_PROXY": f"http://somebody:{password}@proxy.example:3128",
        "PLAIN": "proxy.example",
    }
    said = failed("proxy", f"<{key}> <{password}>", f"<{token}> <proxy.example>")
    found = report.without_secrets(said, variables)
    assert (found.detail, found.remedy) == ("<…> <…>", "<…> <proxy.example>")


def test_an_encoded_password_is_one_in_both_forms() -> None:
    assert {"p%40ssword", "p@ssword"} <= report.secrets({"X": "user:p%40ssword@host"})


def test_short_values_are_no_secrets() -> None:
    assert report.secrets({"SOME_KEY": "1", "X": "a@b", "Y": "http://[@"}) == set()
