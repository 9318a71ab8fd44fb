"""The environment as Claude Code sees it: the process's own, overridden by the `env` blocks of its settings files."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["MANAGED_DIRECTORY", "USERS_OWN", "ClientSettings", "option_value", "parse_json_object", "read"]

MANAGED_DIRECTORY = Path("/Library/Application Support/ClaudeCode" if sys.platform == "darwin" else "/etc/claude-code")
SOURCES = ("user", "project", "local")  # the names that the client's option --setting-sources knows
USERS_OWN = ("--setting-sources", "user")
"""Arguments that leave a project's files out: what outlives a session must not depend on where one stands."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What is in force, and where it comes from."""

    variables: Mapping[str, str]
    """Every variable that the client will see if it is started in this environment."""
    origins: Mapping[str, str]
    """For each variable that a settings file sets, the name of the file; the others come from the environment."""
    managed: frozenset[str]
    """The variables that managed settings fix: nothing on the command line overrides those."""

    def origin(self, name: str) -> str:
        """Where `name` is set, for a message."""
        return self.origins.get(name, "the environment")


def read(
    environment: Mapping[str, str],
    arguments: Sequence[str] = (),
    directory: Path | None = None,
    managed_directory: Path = MANAGED_DIRECTORY,
) -> ClientSettings:
    """Read the settings that Claude Code would read when it is started in `directory` with `arguments`.

    A file that is missing, unreadable or not JSON sets nothing, as in the client.
    """
    variables = dict(environment)
    origins: dict[str, str] = {}
    managed: set[str] = set()
    for origin, block in _env_blocks(environment, arguments, directory or Path.cwd()):
        variables.update(block)
        origins.update(dict.fromkeys(block, origin))
    for file in _managed_files(managed_directory):
        block = _env_block(_read_json(file))
        variables.update(block)
        origins.update(dict.fromkeys(block, str(file)))
        managed.update(block)
    return ClientSettings(variables, origins, frozenset(managed))


def _env_blocks(
    environment: Mapping[str, str], arguments: Sequence[str], directory: Path
) -> Iterator[tuple[str, dict[str, str]]]:
    """The blocks below the managed ones; each overrides the ones before it."""
    home = Path(environment.get("HOME", "~")).expanduser()
    configured = environment.get("CLAUDE_CONFIG_DIR")
    config = Path(configured) if configured else home / ".claude"
    chosen = option_value(arguments, "--setting-sources")
    sources = SOURCES if chosen is None else chosen.split(",")
    files = {
        "user": config / "settings.json",
        "project": directory / ".claude" / "settings.json",
        "local": directory / ".claude" / "settings.local.json",
    }
    for file in (
        (config if configured else home) / ".claude.json",
        *(files[source] for source in SOURCES if source in sources),
    ):
        yield str(file), _env_block(_read_json(file))
    given = option_value(arguments, "--settings")
    if given is not None:
        yield "--settings", _env_block(parse_json_object(given, directory))


def _managed_files(directory: Path) -> Iterable[Path]:
    drop_ins = (file for file in directory.glob("managed-settings.d/*.json") if not file.name.startswith("."))
    return (directory / "managed-settings.json", *sorted(drop_ins))


def option_value(arguments: Sequence[str], option: str) -> str | None:
    """The value of the client's `option` as given last in `arguments`: `--option value` or `--option=value`."""
    value = None
    for here, following in itertools.zip_longest(arguments, arguments[1:]):
        if here == "--":
            break
        if here == option:
            value = following
        elif here.startswith(option + "="):
            value = here.partition("=")[2]
    return value


def parse_json_object(given: str, directory: Path) -> dict[str, Any]:
    """What the client's option --settings names: JSON itself, or a file of it."""
    if given.lstrip().startswith("{"):
        return _parse(given)
    return _read_json(directory / given)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        return _parse(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        return {}


def _parse(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _env_block(settings: Mapping[str, Any]) -> dict[str, str]:
    block = settings.get("env")
    if not isinstance(block, dict):
        return {}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in block.items()}
