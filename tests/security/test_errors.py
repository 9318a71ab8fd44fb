"""An exception's message may quote what a client sent, and a traceback shows it: neither is ever passed on.

Read off the source: wherever anything at all may have been raised, only the exception's type and place are used.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ADDONS = Path(__file__).resolve().parents[2] / "addons"
FILES = sorted(ADDONS.rglob("*.py"))

_ANYTHING = {"Exception", "BaseException"}
_TYPE_AND_PLACE = {"where_it_broke", "type", "isinstance"}


def passed_on(source: str) -> list[str]:
    """Where `source` uses more of an exception than its type and place, and may not, or lets a traceback be logged."""
    tree = ast.parse(source)
    return [*_messages(tree), *_tracebacks(tree)]


def _messages(tree: ast.AST) -> Iterator[str]:
    for handler in ast.walk(tree):
        if not isinstance(handler, ast.ExceptHandler) or not _catches_anything(handler):
            continue
        inside = [node for statement in handler.body for node in ast.walk(statement)]
        allowed = {
            id(node)
            for call in inside
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _TYPE_AND_PLACE
            for node in ast.walk(call)
        }
        for node in inside:
            if isinstance(node, ast.Name) and node.id == handler.name and id(node) not in allowed:
                yield f"line {node.lineno}: the message of any exception"


def _catches_anything(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or any(
        isinstance(node, ast.Name) and node.id in _ANYTHING for node in ast.walk(handler.type)
    )


def _tracebacks(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        of = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        if (name == "exception" and "log" in of) or any(keyword.arg == "exc_info" for keyword in node.keywords):
            yield f"line {node.lineno}: a traceback"
        if of == "traceback" and name != "extract_tb":
            yield f"line {node.lineno}: a traceback"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ADDONS)))
def test_of_an_exception_that_could_be_any_only_type_and_place_are_used(file: Path) -> None:
    assert passed_on(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "leak",
    [
        "try: f()\nexcept Exception as error: logger.error('failed: %s', error)",
        "try: f()\nexcept BaseException as error: notices.say(f'{error}')",
        "try: f()\nexcept (OSError, Exception) as error: raise ValueError(str(error))",
        "try: f()\nexcept Exception as error: logger.error(f'{where_it_broke(error)} {error.args}')",
        "try: f()\nexcept Exception: logger.exception('failed')",
        "try: f()\nexcept ValueError: logger.error('failed', exc_info=True)",
        "try: f()\nexcept Exception: traceback.print_exc()",
    ],
)
def test_a_leak_is_found(leak: str) -> None:
    assert passed_on(leak)


@pytest.mark.parametrize(
    "harmless",
    [
        "try: f()\nexcept Exception as error: logger.error('failed: %s', where_it_broke(error))",
        "try: f()\nexcept Exception as error: problems.add(type(error).__name__)",
        "try: f()\nexcept OptionsError as error: logger.error(error)",
    ],
)
def test_what_is_no_leak_is_not(harmless: str) -> None:
    assert passed_on(harmless) == []
