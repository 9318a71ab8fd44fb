from __future__ import annotations

import logging
from unittest.mock import Mock

import pytest
from mitmproxy.log import LegacyLogEvents

from billing.entry import Change, Ending, Entry
from billing.usage import Usage
from request_log import log_request

_ENTRY = Entry(
    *(1.0, "", "", "", "made-up", "", "messages", "balanced", False, "rewritten", 200, Ending.COMPLETE, 40, 30, 1.23),
    set_aside=2,
    changes=(Change("Read", "set-aside", 2, 9, 7), Change("Bash", "stub", 1, 2, 1)),
    usage=Usage(1, 2, 3, 4, 5),
)


def test_one_line_without_content(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log_request("h.example", _ENTRY)
    (line,) = set(caplog.messages)  # pytest catches it twice
    assert line.startswith(
        "host=h.example path=messages outcome=rewritten tokens_removed=3 set_aside=2 bytes_before=40"
    )
    assert line.endswith(
        " bytes_after=30 ms=1.2 status=200 ending=complete uncached=1 cache_read=2 cache_write=7 output=5"
    )


def test_a_handler_that_wants_warnings_only_gets_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setLevel(logging.WARNING)
    log_request("h.example", _ENTRY)
    assert not caplog.messages


def test_addons_are_not_handed_the_line() -> None:
    master = Mock()
    events = LegacyLogEvents(master)
    events.install()
    try:
        log_request("h.example", _ENTRY)
        assert not master.event_loop.call_soon_threadsafe.called
        logging.getLogger().error("for all")
        assert master.event_loop.call_soon_threadsafe.called
    finally:
        events.uninstall()
