"""deploy/: what other tools say of the files there, and that they agree with each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from configuring.foundry_options import OPTION_NAMES
from team_gateway import users
from tests.e2e.like_a_container import DOCKERFILE, Image
from tests.e2e.mitmdump import PROJECT
from tests.e2e.snippets import snippet

COMPOSE = PROJECT / "deploy" / "compose.yaml"
BESIDE = [snippet("docs/containers.md", "yaml", position) for position in range(2)]
"""What the page has for files beside it: for a company's own proxy, and for a Redis server."""


def tool(name: str) -> str:
    program = Path(sys.executable).with_name(name)
    if not program.exists():
        pytest.skip(f"{name} is not to be had for this machine")
    return str(program)


def document(text: str) -> Any:
    return YAML(typ="safe").load(text)


@pytest.fixture
def gateway() -> Any:
    return document(COMPOSE.read_text(encoding="utf-8"))["services"]["gateway"]


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run(
        [tool("hadolint"), "--no-color", str(DOCKERFILE)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def fits(file: Path) -> bool:
    check = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(check, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
def test_the_compose_file_and_those_on_the_page_are_of_their_form(tmp_path: Path) -> None:
    assert fits(COMPOSE)
    of_the_page, broken = tmp_path / "beside.yaml", tmp_path / "broken.yaml"
    for text in BESIDE:
        of_the_page.write_text(text)
        assert fits(of_the_page)
    broken.write_text(COMPOSE.read_text(encoding="utf-8").replace("read_only: true", "read_only: [true]"))
    assert not fits(broken)


@pytest.mark.parametrize("text", [COMPOSE.read_text(encoding="utf-8"), *BESIDE])
def test_every_secret_that_is_used_is_defined_and_none_is_left_over(text: str) -> None:
    given = document(text)
    own = {"proxy_users"} if "build" not in text else set()  # the first file defines it
    assert set(given["services"]["gateway"]["secrets"]) - own == set(given["secrets"])


def test_every_option_reaches_the_container_but_those_that_the_image_or_a_secret_settles(gateway: Any) -> None:
    settled = {"foundry_state_dir", "foundry_token"}
    assert "FOUNDRY_COMPRESS_STATE_DIR" in Image.of_the_dockerfile().environment
    passed = [name.replace("FOUNDRY_COMPRESS_", "foundry_").lower() for name in gateway["environment"]]
    assert sorted(passed) == sorted(OPTION_NAMES - settled)


def test_the_secret_with_the_address_of_redis_is_the_file_that_the_option_names(gateway: Any) -> None:
    given = document(BESIDE[1])
    (variable,) = given["services"]["gateway"]["environment"]
    name, _, value = variable.partition("=@/run/secrets/")
    assert name in gateway["environment"]
    assert value in given["secrets"]


def test_the_image_comes_from_a_fixed_version_of_python_and_from_no_named_index() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    bases = {line.split()[1] for line in text.splitlines() if line.startswith("FROM ")}
    assert bases == {"python:3.12-slim-bookworm"}
    assert "://" not in text


def test_nobody_in_the_container_can_do_more_than_they_must(gateway: Any) -> None:
    assert gateway["read_only"] is True
    assert gateway["cap_drop"] == ["ALL"]
    assert gateway["security_opt"] == ["no-new-privileges:true"]
    assert "cap_add" not in gateway
    assert "privileged" not in gateway
    uid, gid = map(int, Image.of_the_dockerfile().user.split(":"))
    assert uid >= 10_000 <= gid  # no user of the machine


def test_the_compose_file_says_what_the_image_says(gateway: Any) -> None:
    image = Image.of_the_dockerfile()
    assert gateway["healthcheck"]["test"] == ["CMD", *image.healthcheck]
    assert {volume.partition(":")[2] for volume in gateway["volumes"]} == set(image.volumes)
    assert {image.environment["FOUNDRY_COMPRESS_CONFDIR"], image.environment["FOUNDRY_COMPRESS_STATE_DIR"]} == set(
        image.volumes
    )
    (port,) = gateway["ports"]
    assert f"EXPOSE {port.rpartition(':')[2]}" in DOCKERFILE.read_text(encoding="utf-8").splitlines()
    assert gateway["secrets"] == [users.DEFAULT_FILE.name]


def test_it_is_for_this_machine_only_unless_told_otherwise(gateway: Any) -> None:
    (port,) = gateway["ports"]
    assert port.startswith("${FOUNDRY_GATEWAY_ADDRESS:-127.0.0.1}:")


def test_what_the_image_is_made_from_reaches_the_engine_and_no_key_does() -> None:
    lines = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert {source.partition("/")[0] for source in Image.of_the_dockerfile().copied} == let_in
    assert "certs" not in let_in
    assert not [name for name in let_in if not (PROJECT / name).exists()]
