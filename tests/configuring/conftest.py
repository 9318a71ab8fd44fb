"""What the tests of options share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mitmproxy.addonmanager import Loader
from mitmproxy.test import taddons

from configuring.foundry_options import declare


class Declares:
    def load(self, loader: Loader) -> None:
        declare(loader)


@pytest.fixture
def context() -> Iterator[taddons.context]:
    """A mitmproxy that knows the options."""
    with taddons.context(Declares()) as tctx:
        yield tctx
