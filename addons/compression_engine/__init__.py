"""Request body in, request body out.

Imports no mitmproxy, does no I/O, reads no clock. See docs/architecture.md for the laws that every module here keeps.
"""

from compression_engine.body import NotUnderstood
from compression_engine.engine import Engine, Outcome, ResultChange, Rewrite, restore
from compression_engine.formats import WireFormat

__all__ = ["Engine", "NotUnderstood", "Outcome", "ResultChange", "Rewrite", "WireFormat", "restore"]
