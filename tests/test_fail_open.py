from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest
from mitmproxy.exceptions import OptionsError

from fail_open import fail_open
from notices import Notices


@pytest.mark.parametrize("error", [ValueError("secret"), OptionsError("secret"), BaseException("secret")])
def test_what_is_raised_is_told_of_and_stays(error: BaseException) -> None:
    notices = Mock(Notices)
    with fail_open(notices, "request"):
        raise error
    ((where, reason),) = (call.args for call in notices.failure.call_args_list)
    assert where == "request"
    assert reason.startswith(f"{type(error).__name__} at test_fail_open.py:")
    assert "secret" not in reason


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
def test_what_ends_mitmproxy_passes(error: type[BaseException]) -> None:
    notices = Mock(Notices)
    with pytest.raises(error), fail_open(notices, "request"):
        raise error
    assert not notices.mock_calls
