"""A bill of materials as CycloneDX 1.6 has it, in JSON."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclonedx.model import ExternalReference
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component as Listed
    from cyclonedx.model.license import License

    from wardian.export.component import Bill, Component


def cyclonedx_text(bill: Bill) -> str:
    """The document's JSON."""
    from cyclonedx.output.json import JsonV1Dot6

    return str(JsonV1Dot6(_document(bill)).output_as_string(indent=2)) + "\n"


def _document(bill: Bill) -> Bom:
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component as Listed
    from cyclonedx.model.component import ComponentType
    from cyclonedx.model.tool import ToolRepository

    image = Listed(
        name=bill.name,
        type=ComponentType.CONTAINER,
        bom_ref="image",
        description=f"A container image for {bill.platform}.",
    )
    tool = Listed(name="wardian", type=ComponentType.APPLICATION, bom_ref="wardian")
    components = [_component(component) for component in bill.components]
    document = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"wardian:{bill.digest}"),
        components=components,
        metadata=BomMetaData(
            component=image,
            timestamp=datetime.fromisoformat(bill.created),
            tools=ToolRepository(components=[tool]),
        ),
    )
    document.register_dependency(image, components)
    return document


def _component(component: Component) -> Listed:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component as Listed
    from cyclonedx.model.component import ComponentType
    from cyclonedx.model.contact import OrganizationalEntity
    from packageurl import PackageURL

    return Listed(
        name=component.name,
        version=component.version,
        type=ComponentType.PLATFORM if component.ecosystem == "interpreter" else ComponentType.LIBRARY,
        bom_ref=component.identity,
        purl=PackageURL.from_string(component.purl),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=component.sha256)],
        licenses=_licences(component),
        supplier=OrganizationalEntity(name=component.supplier) if component.supplier else None,
        publisher=component.author or None,
        description=component.summary or None,
        external_references=_websites(component.homepage),
    )


def _websites(home: str) -> list[ExternalReference]:
    """The home page, unless it is no URI."""
    from cyclonedx.exception.model import InvalidUriException
    from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri

    try:
        return [ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(home))] if home else []
    except InvalidUriException:
        return []


def _licences(component: Component) -> list[License]:
    """An expression; a text of its own where the whole licence is one that SPDX has no name for."""
    from cyclonedx.model import AttachedText
    from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression

    licence = component.licence
    if not licence.expression:
        return []
    if text := licence.texts.get(licence.expression):
        name = licence.expression.removeprefix("LicenseRef-")
        return [DisjunctiveLicense(name=name, text=AttachedText(content=text))]
    return [LicenseExpression(licence.expression)]
