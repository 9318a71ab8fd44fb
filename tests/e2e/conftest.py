"""What the tests of the addon in a real mitmdump share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.mitmdump import ADDON, Mitmdump
from tests.e2e.recording_origin import RecordingOrigin
from tests.e2e.scripted import make_project

HARNESS = Path(__file__).with_name("harness")
FOUNDRY_HOST = "made-up.services.ai.azure.com"
OTHER_HOSTS = (
    "other.example",
    "made-up.services.ai.azure.com.evil.example",
    "servicesxai.azure.com",
    "made-up.servicesxai.azure.com",
)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordingOrigin]:
    """A server that stands for every host there is; empty for each module."""
    with RecordingOrigin(tmp_path_factory.mktemp("origin"), FOUNDRY_HOST, *OTHER_HOSTS) as server:
        yield server


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Where a scripted session works: the project of `scripted.make_project`."""
    directory = tmp_path / "work"
    make_project(directory)
    return directory


type Start = Callable[..., Mitmdump]


@pytest.fixture
def start(origin: RecordingOrigin, tmp_path: Path) -> Iterator[Start]:
    """Starts a mitmdump that stops with the test: addon, `engine` (harness/engine_stub.py), the way to `origin`."""
    origin.forget()
    with ExitStack() as stack:

        def _start(engine: str | None = None, *arguments: str, **options: str) -> Mitmdump:
            home = tmp_path / f"home-{len(list(tmp_path.iterdir()))}"
            home.mkdir()
            stub = [HARNESS / "engine_stub.py"] if engine else []
            return stack.enter_context(
                Mitmdump(
                    home,
                    *(ADDON, *stub, HARNESS / "to_origin.py"),
                    options=origin.options | options,
                    arguments=arguments,
                    environment=origin.environment | ({"ENGINE_STUB": engine} if engine else {}),
                )
            )

        yield _start
