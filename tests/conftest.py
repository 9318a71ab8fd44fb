"""Settings for all tests."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from mitmproxy.options import Options

from connecting import certificate_authority

# No deadline: how long an example takes says something about the machine, not about the code. In CI the examples are
# always the same, so that a red run can be repeated.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("local", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")


# Hundreds of Pythons are started, and where no bytecode is kept, each would compile mitmproxy first, which takes longer
# than what most of them then do.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is quick to tell comes first, then what is slow, then what runs the whole thing."""
    items.sort(key=lambda item: [item.get_closest_marker(mark) is not None for mark in ("e2e", "slow")])


@pytest.fixture(scope="session")
def authority_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate authority of ours, to copy and not to change."""
    folder = tmp_path_factory.mktemp("authority")
    certificate_authority.ensure(folder)
    return folder


@pytest.fixture
def options_with_authority(authority_folder: Path) -> Callable[[Path], Options]:
    """Makes mitmproxy's options with a confdir that has an authority.

    Where there is none, mitmproxy makes one, with an RSA key; in the confdir that it has by default, that of whoever
    runs the tests, it reads one. Each takes longer than what is tested.
    """

    def make(confdir: Path) -> Options:
        shutil.copytree(authority_folder, confdir, dirs_exist_ok=True)
        return Options(confdir=str(confdir))

    return make
