"""Settings for all tests."""

from __future__ import annotations

import os
import shutil
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is quick to tell comes first, then what is slow, then what runs the whole thing."""
    items.sort(key=lambda item: [item.get_closest_marker(mark) is not None for mark in ("e2e", "slow")])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """What `-n auto` means: the quick tests on all cores, and all others one after the other, as they use them all.

    None stands for as many as there are cores.
    """
    chosen = config.option.markexpr
    return None if "not e2e" in chosen and "not slow" in chosen else 0


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
