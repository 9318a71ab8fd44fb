"""Commands of mitmproxy's: for the console, mitmweb's command bar, and key bindings."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mitmproxy import command, flow, http
from mitmproxy.exceptions import CommandError
from mitmproxy.types import Path as PathArgument

from web_view.marks import OUTCOME
from web_view.pairs import Pair, Pairs
from web_view.results import Result, compared

__all__ = ["Commands"]

# Headers that hold no secret, and that tell something about how a request was treated.
_SHOWN_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "anthropic-beta",
        "anthropic-version",
        "content-encoding",
        "content-length",
        "content-type",
        "transfer-encoding",
        "user-agent",
    }
)


class Commands:
    """An addon of its own. `set_mode` takes a mode and whether it is to hold at once, and says what follows."""

    def __init__(
        self, pairs: Pairs, stats: Callable[[], Mapping[str, object]], set_mode: Callable[[str, bool], str]
    ) -> None:
        self._pairs = pairs
        self._stats = stats
        self._set_mode = set_mode

    @command.command("foundry.stats")  # type: ignore[untyped-decorator]
    def stats(self) -> str:
        """What this proxy has saved so far."""
        return json.dumps(self._stats(), indent=2)

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
    def explain(self, flows: Sequence[flow.Flow]) -> str:
        """Say of each tool result in the requests what was done to it."""
        return "\n".join(line for one in flows for line in self._explained(one)) or "no flow is chosen"

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
        file = Path(path).expanduser()
        try:
            _write_private(file, _exported(chosen, pair))
        except OSError as error:
            raise CommandError(f"foundry.export: {file} cannot be written ({error.strerror})") from None
        return f"{file} holds the conversation as it came and as it went, without credentials: look before you share"

    def _explained(self, one: flow.Flow) -> list[str]:
        if not isinstance(one, http.HTTPFlow) or OUTCOME not in one.metadata:
            return ["not a request to Foundry that this addon saw"]
        pair = self._pairs.get(one.id)
        if pair is None:
            return [one.comment or str(one.metadata[OUTCOME])]
        return [one.comment, *map(_line, compared(pair))]


def _line(result: Result) -> str:
    what = f"{result.number}. {result.tool or 'a tool'} {result.label}".rstrip()
    if not result.is_rewritten:
        return f"{what}: as it came"
    if result.change is None:
        return f"{what}: {len(result.before):,} → {len(result.after):,} characters"
    change = result.change
    return f"{what}: {change.kind}, {change.tokens_before:,} → {change.tokens_after:,} tokens"


def _exported(chosen: http.HTTPFlow, pair: Pair) -> str:
    request = chosen.request
    headers = [
        [name, value if name.lower() in _SHOWN_HEADERS else "(left out)"]
        for name, value in request.headers.items(multi=True)
    ]
    document = {
        "outcome": chosen.metadata.get(OUTCOME),
        "comment": chosen.comment,
        "method": request.method,
        "path": request.path.partition("?")[0],
        "headers": headers,
        "before": pair.before.decode(errors="replace"),
        "after": pair.after.decode(errors="replace"),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _write_private(file: Path, text: str) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as stream:
        stream.write(text)
