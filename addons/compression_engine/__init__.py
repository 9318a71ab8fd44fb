"""Request body in, request body out.

Imports no mitmproxy, does no I/O, reads no clock. See docs/architecture.md for the laws that every module here keeps.
"""

from compression_engine.body import NotUnderstood
from compression_engine.conversation import NO_RESULTS, SET_ASIDE, Conversation, Counts
from compression_engine.engine import Decide, Engine, Outcome, ResultChange, Rewrite, restore
from compression_engine.formats import WireFormat
from compression_engine.policy import RULES_VERSION, Place, Policy
from compression_engine.prompt import Prompt
from compression_engine.set_aside import Setting

__all__ = [
    "NO_RESULTS",
    "RULES_VERSION",
    "SET_ASIDE",
    "Conversation",
    "Counts",
    "Decide",
    "Engine",
    "NotUnderstood",
    "Outcome",
    "Place",
    "Policy",
    "Prompt",
    "ResultChange",
    "Rewrite",
    "Setting",
    "WireFormat",
    "restore",
]
