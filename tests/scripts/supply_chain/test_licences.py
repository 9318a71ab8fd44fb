from __future__ import annotations

from email.message import Message
from importlib import metadata
from pathlib import Path

import pytest

from supply_chain.command import GROUPS, PROJECT
from supply_chain.components import installed
from supply_chain.licences import UNKNOWN, is_allowed, licence_of

MIT = "Permission is hereby granted, free of charge, to any person obtaining\na copy of this software"
BSD = "Redistribution and use in source and binary forms, with or without modification, are permitted"
CLASSIFIER = "License :: OSI Approved :: "


type Fields = dict[str, str | list[str]]


def made(folder: Path, fields: Fields, files: dict[str, str] | None = None) -> metadata.Distribution:
    """A distribution that states `fields` and brings `files`."""
    said = Message()
    head: Fields = {"Metadata-Version": "2.4", "Name": "made-up", "Version": "1"}
    for name, value in (head | fields).items():
        for one in value if isinstance(value, list) else [value]:
            said[name.replace("_", "-")] = one.replace("\n", "\n        ")
    info = folder / "made_up-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(str(said))
    for name, text in (files or {}).items():
        (info / name).write_text(text)
    (info / "RECORD").write_text("".join(f"{info.name}/{name},,\n" for name in files or {}))
    return metadata.Distribution.at(info)


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ({"License_Expression": "Apache-2.0 OR BSD-3-Clause"}, "Apache-2.0 OR BSD-3-Clause"),
        ({"License_Expression": "MIT", "License": "GPL-3.0-only"}, "MIT"),
        ({"License": "bsd-3-clause"}, "BSD-3-Clause"),
        ({"License": "MIT and MPL-2.0"}, "MIT AND MPL-2.0"),
        ({"License": "Apache License, Version 2.0"}, "Apache-2.0"),
        ({"License": "LGPL v3"}, "LGPL-3.0-only"),
        ({"License": "Copyright (c) somebody\nAll rights reserved."}, UNKNOWN),
        ({"License": "Copyright (c) somebody\nAll.", "Classifier": f"{CLASSIFIER}MIT License"}, "MIT"),
        ({"License": "BSD", "Classifier": f"{CLASSIFIER}BSD License"}, UNKNOWN),  # which of them?
        ({"Classifier": [f"{CLASSIFIER}MIT License", f"{CLASSIFIER}Apache Software License"]}, UNKNOWN),
        ({"License": "as you like it"}, UNKNOWN),
        ({}, UNKNOWN),
    ],
)
def test_what_is_stated(fields: Fields, licence: str, tmp_path: Path) -> None:
    assert licence_of(made(tmp_path, fields)) == licence


@pytest.mark.parametrize(
    ("files", "licence"),
    [
        ({"LICENSE": MIT}, "MIT"),
        ({"COPYING.txt": BSD}, "BSD-2-Clause"),
        ({"LICENSE.rst": f"{BSD}; nor may be used to endorse or promote products"}, "BSD-3-Clause"),
        ({"LICENSE": MIT, "LICENSE.BSD": BSD}, UNKNOWN),
        ({"LICENSE": "Pay first."}, UNKNOWN),
        ({"README": MIT}, UNKNOWN),
    ],
)
def test_the_text_of_its_one_licence(files: dict[str, str], licence: str, tmp_path: Path) -> None:
    assert licence_of(made(tmp_path, {}, files)) == licence


@pytest.mark.parametrize(
    "expression",
    ["MIT", "MIT AND MPL-2.0", "GPL-3.0-only OR MIT", "(MIT OR AGPL-3.0-only) AND BSD-3-Clause", "LGPL-2.1-only"],
)
def test_what_may_be_built_on(expression: str) -> None:
    assert is_allowed(expression)


@pytest.mark.parametrize(
    "expression",
    ["GPL-3.0-only", "MIT AND AGPL-3.0-only", "AGPL-3.0-only OR SSPL-1.0", UNKNOWN],
)
def test_what_may_not(expression: str) -> None:
    assert not is_allowed(expression)


def test_all_that_is_installed_may_be_built_on() -> None:
    components = installed(PROJECT, GROUPS)
    assert len(components) > 40
    licences = {one.name: licence_of(one.distribution) for one in components}
    assert {name: licence for name, licence in licences.items() if not is_allowed(licence)} == {}
