"""What an option may be, whoever says so: the user in `foundry_options`, the administrator in `company_policy`."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["HOLDOUT_DECIMALS", "KEEP_DAYS", "KEEP_MB", "Mode"]

KEEP_DAYS = range(1, 3_651)
"""How many days the ledger may go back."""
KEEP_MB = range(1, 65_537)
"""How many megabytes the ledger may take."""
HOLDOUT_DECIMALS = 4
"""How many decimals a percentage of sessions may have."""


class Mode(StrEnum):
    """How much is done to a request."""

    OFF = "off"  # every connection is tunnelled
    OBSERVE = "observe"  # measured, not changed
    LOSSLESS = "lossless"  # rewritten; what is sent says everything that the client said
    BALANCED = "balanced"  # and old results are set aside where the prompt cache is cold
