"""Environment variables written in the forms that shells and programs read, each quoted by that form's own rules."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from launcher.errors import LauncherError

__all__ = ["FORMATS", "render"]

# PowerShell takes each of these for the end of a string in single quotes, and two of them for one of it.
_POWERSHELL_QUOTES = re.compile("['\u2018-\u201b]")


def render(form: str, variables: Mapping[str, str]) -> str:
    """The `variables` in the `form`, which is one of FORMATS, with a line break at the end.

    Raises LauncherError if that form cannot hold one of the values. A message names the variable and not its value.
    """
    return FORMATS[form](variables)


def _sh(variables: Mapping[str, str]) -> str:
    def quoted(value: str) -> str:
        return "'" + value.replace("'", "'\\''") + "'"

    return _lines(variables, lambda name, value: f"export {name}={quoted(value)}")


def _fish(variables: Mapping[str, str]) -> str:
    def quoted(value: str) -> str:
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    return _lines(variables, lambda name, value: f"set -gx {name} {quoted(value)}")


def _powershell(variables: Mapping[str, str]) -> str:
    def quoted(value: str) -> str:
        return "'" + _POWERSHELL_QUOTES.sub(lambda quote: quote[0] * 2, value) + "'"

    _refuse_what_is_no_text("powershell", variables)
    return _lines(variables, lambda name, value: f"$env:{name} = {quoted(value)}")


def _json(variables: Mapping[str, str]) -> str:
    _refuse_what_is_no_text("json", variables)
    return json.dumps({"env": dict(variables)}, indent=2, ensure_ascii=False) + "\n"


def _vscode(variables: Mapping[str, str]) -> str:
    _refuse_what_is_no_text("vscode", variables)
    listed = [{"name": name, "value": value} for name, value in variables.items()]
    return json.dumps({"claudeCode.environmentVariables": listed}, indent=2, ensure_ascii=False) + "\n"


def _env_file(variables: Mapping[str, str]) -> str:
    """`NAME=value`, where everything up to the end of the line is the value: there is no quoting."""
    _refuse_what_is_no_text("an env-file", variables)
    for name, value in variables.items():
        if re.search(r"[\r\n]", value):
            raise LauncherError(
                f"{name} holds a line break, and a line of an env-file is all that there is for a value: "
                "choose a folder or a value without one."
            )
    return _lines(variables, lambda name, value: f"{name}={value}")


def _lines(variables: Mapping[str, str], line: Callable[[str, str], str]) -> str:
    return "".join(f"{line(name, value)}\n" for name, value in variables.items())


def _refuse_what_is_no_text(form: str, variables: Mapping[str, str]) -> None:
    """A path may hold bytes that are no UTF-8, and only shells of Unix can be told of those."""
    for name, value in variables.items():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise LauncherError(f"{name} holds bytes that are not UTF-8, which {form} cannot express.") from None


FORMATS: Mapping[str, Callable[[Mapping[str, str]], str]] = {
    "sh": _sh,
    "fish": _fish,
    "powershell": _powershell,
    "json": _json,
    "docker": _env_file,
    "github": _env_file,
    "vscode": _vscode,
}
"""What each form is called."""
