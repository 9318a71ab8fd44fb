"""One line in the log for each request to Foundry: `key=value key=value …`. Never content, never a credential.

mitmproxy makes a deprecated event of every record and hands it to all of its addons, which takes as long as a hook and
holds up the request. These lines go to all other handlers only.
"""

from __future__ import annotations

import logging

from mitmproxy.log import LegacyLogEvents

from treatment import Treatment

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


def log_request(host: str, path: str, treatment: Treatment, milliseconds: float) -> None:
    """Tell of one request; `path` is the kind of its path, `milliseconds` are what it waited for us."""
    logger.info(
        "host=%s path=%s outcome=%s tokens_removed=%d set_aside=%d bytes_before=%d bytes_after=%d ms=%.1f",
        host,
        path,
        treatment.outcome,
        treatment.tokens_removed,
        treatment.set_aside,
        treatment.bytes_before,
        treatment.bytes_after,
        milliseconds,
    )
