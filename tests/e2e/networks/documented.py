"""The commands of docs/networks.md, section by section, so that tests start what readers start."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.snippets import blocks

__all__ = ["client_variables", "command_lines", "configuration", "proxy_arguments", "said"]

_PAGE = Path(__file__).resolve().parents[3] / "docs" / "networks.md"
_MITMDUMP = ["mitmdump", "-s", "addons/foundry_compress.py"]


def _section(heading: str) -> str:
    """The text under `heading`, down to the next one of its level. Raises LookupError if there is none."""
    for part in re.split(r"^## ", _PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title, _, text = part.partition("\n")
        if title == heading:
            return text
    raise LookupError(f"{_PAGE.name} has no section {heading!r}")


def _replaced(text: str, replacing: Mapping[str, str]) -> str:
    for example, value in replacing.items():
        if example not in text:
            raise LookupError(f"{example!r} is not there to be replaced")
        text = text.replace(example, value)
    return text


def command_lines(heading: str, replacing: Mapping[str, str] | None = None) -> list[str]:
    """The lines of all shell blocks under `heading`, with the reader's own values as `replacing` says."""
    code = "".join(block.code for block in blocks(_section(heading)) if block.language == "sh")
    return _replaced(code, replacing or {}).splitlines()


def proxy_arguments(heading: str, replacing: Mapping[str, str]) -> list[str]:
    """What the section gives mitmdump beside the addon. Raises LookupError unless it starts one, and only one."""
    starts = [words for line in command_lines(heading) if (words := shlex.split(line))[: len(_MITMDUMP)] == _MITMDUMP]
    if len(starts) != 1:
        raise LookupError(f"{heading!r} starts {len(starts)} proxies")
    return shlex.split(_replaced(shlex.join(starts[0][len(_MITMDUMP) :]), replacing))


def client_variables(heading: str, replacing: Mapping[str, str]) -> dict[str, str]:
    """The variables that the section exports for the client."""
    lines = [shlex.split(line)[1:] for line in command_lines(heading) if line.startswith("export ")]
    given = dict(assignment.split("=", 1) for line in lines for assignment in line)
    text = _replaced("\0".join(f"{name}={value}" for name, value in given.items()), replacing)
    return dict(item.split("=", 1) for item in text.split("\0") if item)


def configuration(heading: str, replacing: Mapping[str, str]) -> str:
    """The section's part of mitmproxy's config.yaml."""
    code = "".join(block.code for block in blocks(_section(heading)) if block.language == "yaml")
    return _replaced(code, replacing)


def said(heading: str, replacing: Mapping[str, str]) -> str:
    """The one line that the section quotes of the proxy's log."""
    (block,) = [block for block in blocks(_section(heading)) if not block.language]
    return _replaced(block.code.strip(), replacing)
