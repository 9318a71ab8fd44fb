"""The bill of materials: what the project runs on, as CycloneDX 1.6 in JSON, checked against the format's schema."""

from __future__ import annotations

from collections.abc import Sequence

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component as Part
from cyclonedx.model.component import ComponentScope, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from supply_chain.components import Component
from supply_chain.licences import licence_of

__all__ = ["bill_of", "faults_in"]

NAME = "foundry-compress"
RANKS = Part(
    type=ComponentType.DATA,
    name="o200k_base",
    bom_ref="addons/compression_engine/ranks",
    description="OpenAI's token ranks, which stand among the project's own files",
    licenses=[LicenseExpression("MIT")],
)


def bill_of(version: str, components: Sequence[Component]) -> str:
    """The bill of the project at `version` with these components, as JSON."""
    bom = Bom()
    whole = Part(
        type=ComponentType.APPLICATION,
        name=NAME,
        version=version,
        bom_ref=NAME,
        licenses=[LicenseExpression("Apache-2.0")],
    )
    bom.metadata.component = whole
    parts = {component.name: _part(component) for component in components}
    bom.components.update([*parts.values(), RANKS])
    needed = {name for component in components for name in component.needs}
    bom.register_dependency(whole, [*(part for name, part in parts.items() if name not in needed), RANKS])
    for component in components:
        bom.register_dependency(parts[component.name], [parts[name] for name in component.needs if name in parts])
    return JsonV1Dot6(bom).output_as_string(indent=2)


def faults_in(bill: str) -> str:
    """What the schema of the format finds wrong with a bill; empty if nothing."""
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill)
    return "" if error is None else str(error).splitlines()[0]


def _part(component: Component) -> Part:
    licence = licence_of(component.distribution)
    return Part(
        type=ComponentType.LIBRARY,
        name=component.name,
        version=component.version,
        bom_ref=f"{component.name}=={component.version}",
        scope=ComponentScope.OPTIONAL if component.is_optional else ComponentScope.REQUIRED,
        purl=PackageURL("pypi", name=component.name, version=component.version),
        licenses=[LicenseExpression(licence)] if licence else None,
    )
