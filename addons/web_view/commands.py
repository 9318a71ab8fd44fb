"""Commands of mitmproxy's: for the console, mitmweb's command bar, and key bindings.

What has several lines is a list of them: mitmweb shows a text as a JSON string, in which line ends are hard to read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mitmproxy import command, flow, http
from mitmproxy.exceptions import CommandError
from mitmproxy.types import Path as PathArgument

from compression_engine import Outcome, statements
from outcomes import REWRITTEN
from web_view.export import exported, write_private
from web_view.marks import OUTCOME
from web_view.pairs import Pair, Pairs
from web_view.printable import printable
from web_view.results import Result, compared

__all__ = ["Commands"]


class Commands:
    """An addon of its own. `set_mode` takes a mode and whether it is to hold at once, and says what follows."""

    def __init__(
        self, pairs: Pairs, stats: Callable[[], Mapping[str, object]], set_mode: Callable[[str, bool], str]
    ) -> None:
        self._pairs = pairs
        self._stats = stats
        self._set_mode = set_mode

    @command.command("foundry.stats")  # type: ignore[untyped-decorator]
    def stats(self) -> Sequence[str]:
        """What this proxy has saved so far."""
        return [f"{name}: {_shown(value)}" for name, value in self._stats().items()]

    @command.command("foundry.mode")  # type: ignore[untyped-decorator]
    def mode(self, mode: str = "", when: str = "") -> str:
        """Show the mode, or change it; with off, `now` means for conversations in the prompt cache too."""
        if not mode:
            return str(self._stats().get("mode", ""))
        if when not in ("", "now"):
            raise CommandError(f"foundry.mode: {when!a} is not possible; allowed is now, or nothing")
        try:
            return self._set_mode(mode, when == "now")
        except ValueError as error:
            raise CommandError(str(error)) from None

    @command.command("foundry.explain")  # type: ignore[untyped-decorator]
    def explain(self, flows: Sequence[flow.Flow]) -> Sequence[str]:
        """Say of each tool result in the requests what was done to it."""
        return [printable(line) for one in flows for line in self._explained(one)] or ["no flow is chosen"]

    @command.command("foundry.export")  # type: ignore[untyped-decorator]
    def export(self, flows: Sequence[flow.Flow], path: PathArgument) -> str:
        """Write one request as it came and as it went into a file, without credentials. It holds the conversation."""
        if len(flows) != 1:
            raise CommandError("foundry.export: choose one flow, as with @focus")
        chosen = flows[0]
        pair = self._pairs.get(chosen.id)
        if pair is None or not isinstance(chosen, http.HTTPFlow):
            raise CommandError(
                "foundry.export: of this flow both bodies are not known: it was not rewritten, or long ago"
            )
        try:
            file = Path(path).expanduser()
            write_private(file, exported(chosen, pair))
        except (OSError, ValueError, RuntimeError) as error:  # the last two for a path that is none
            reason = getattr(error, "strerror", None) or error
            raise CommandError(f"foundry.export: {path!a} cannot be written ({reason})") from None
        return f"{file} holds the conversation as it came and as it went, without credentials: look before you share"

    def _explained(self, one: flow.Flow) -> Iterator[str]:
        if not isinstance(one, http.HTTPFlow) or OUTCOME not in one.metadata:
            yield "not a request to Foundry that this addon saw"
            return
        outcome = one.metadata[OUTCOME]
        yield one.comment or str(outcome)
        pair = self._pairs.get(one.id)
        if pair is None and outcome == Outcome.NOTHING_TO_DO:
            body = one.request.get_content(strict=False) or b""
            pair = Pair(body, body)
        if pair is not None:
            yield from map(_line, compared(pair))
        elif outcome == REWRITTEN:
            yield "it was so long ago that the bodies are not kept: nothing is known of single results"


def _shown(value: object) -> str:
    """A text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _line(result: Result) -> str:
    if not result.is_rewritten:
        return f"{result.title}: as it came, {_why(result)}"
    if result.change is not None:
        change = result.change
        return f"{result.title}: {change.kind}, {change.tokens_before:,} → {change.tokens_after:,} tokens"
    done = "brought back" if result.is_brought_back else "rewritten"
    return f"{result.title}: {done}, {len(result.before):,} → {len(result.after):,} characters"


def _why(result: Result) -> str:
    if result.is_error:
        return "since it reports an error"
    if statements.stand_in(result.before):
        return "since it holds text of the form of our statements"
    return f"{len(result.before):,} characters: no way was found to write it shorter, or it had gone out so before"
