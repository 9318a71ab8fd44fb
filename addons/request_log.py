"""One line in the log for each request to Foundry: `key=value key=value …`. Never content, never a credential.

mitmproxy makes a deprecated event of every record and hands it to all of its addons, which takes as long as a hook and
holds up the request. These lines go to all other handlers only.
"""

from __future__ import annotations

import logging

from mitmproxy.log import LegacyLogEvents

from billing.entry import Entry
from billing.usage import Usage

__all__ = ["log_request"]


class _PastAddons(logging.Handler):
    """Hands records to what handles those of the root logger, but to no addon."""

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on one record."""
        for handler in logging.getLogger().handlers:
            if record.levelno >= handler.level and not isinstance(handler, LegacyLogEvents):
                handler.handle(record)


logger = logging.getLogger("foundry_compress.requests")
logger.propagate = False
logger.setLevel(logging.INFO)
logger.handlers = [_PastAddons()]  # not one more each time that the script is reloaded

_NONE = Usage()


def log_request(host: str, entry: Entry) -> None:
    """Tell of one request, once it has ended. Where nothing is known of what was billed, the figures are 0."""
    usage = entry.usage or _NONE
    logger.info(
        "host=%s path=%s outcome=%s tokens_removed=%d set_aside=%d bytes_before=%d bytes_after=%d ms=%.1f"
        " status=%d ending=%s uncached=%d cache_read=%d cache_write=%d output=%d",
        host,
        entry.endpoint,
        entry.outcome,
        entry.tokens_before - entry.tokens_after,
        entry.set_aside,
        entry.bytes_before,
        entry.bytes_after,
        entry.added_ms,
        entry.status,
        entry.ending,
        usage.uncached,
        usage.cache_read,
        usage.cache_write,
        usage.output,
    )
