"""A bill of materials as SPDX 2.3 has it, in JSON."""

from __future__ import annotations

import io
import re
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

from wardian.errors import InternalError

if TYPE_CHECKING:
    from spdx_tools.spdx.model.actor import Actor
    from spdx_tools.spdx.model.document import Document
    from spdx_tools.spdx.model.extracted_licensing_info import ExtractedLicensingInfo
    from spdx_tools.spdx.model.package import Package

    from wardian.export.component import Bill, Component

_DOCUMENT = "SPDXRef-DOCUMENT"
_IMAGE = "SPDXRef-image"


def spdx_text(bill: Bill) -> str:
    """The document's JSON; raises InternalError where its library finds it invalid."""
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
    from spdx_tools.spdx.writer.json.json_writer import write_document_to_stream

    document = _document(bill)
    if wrong := validate_full_spdx_document(document):
        raise InternalError(f"the SPDX document of {bill.name} is invalid: {wrong[0].validation_message}")
    stream = io.StringIO()
    write_document_to_stream(document, stream, validate=False)
    return stream.getvalue() + "\n"


def _document(bill: Bill) -> Document:
    from spdx_tools.spdx.model.actor import Actor, ActorType
    from spdx_tools.spdx.model.document import CreationInfo, Document
    from spdx_tools.spdx.model.relationship import Relationship, RelationshipType

    created = datetime.fromisoformat(bill.created).replace(tzinfo=None)  # SPDX times are UTC
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"wardian:{bill.digest}")
    about = CreationInfo(
        spdx_version="SPDX-2.3",
        spdx_id=_DOCUMENT,
        name=bill.name,
        # SPDX 2.3, 6.5: an address that nothing need be at.
        document_namespace=f"https://spdx.org/spdxdocs/{bill.name}-{identity}",
        creators=[Actor(ActorType.TOOL, "wardian")],
        created=created,
    )
    contains = [
        Relationship(_IMAGE, RelationshipType.CONTAINS, _identity(component)) for component in bill.components
    ]
    return Document(
        about,
        packages=[_image(bill), *(_package(component) for component in bill.components)],
        relationships=[Relationship(_DOCUMENT, RelationshipType.DESCRIBES, _IMAGE), *contains],
        extracted_licensing_info=_texts(bill),
    )


def _image(bill: Bill) -> Package:
    from spdx_tools.spdx.model.package import Package, PackagePurpose
    from spdx_tools.spdx.model.spdx_no_assertion import SpdxNoAssertion

    return Package(
        spdx_id=_IMAGE,
        name=bill.name,
        download_location=SpdxNoAssertion(),
        files_analyzed=False,
        comment=f"A container image for {bill.platform}.",
        primary_package_purpose=PackagePurpose.CONTAINER,
        license_concluded=SpdxNoAssertion(),
        license_declared=SpdxNoAssertion(),
        copyright_text=SpdxNoAssertion(),
    )


def _package(component: Component) -> Package:
    from spdx_tools.spdx.model.checksum import Checksum, ChecksumAlgorithm
    from spdx_tools.spdx.model.package import ExternalPackageRef, ExternalPackageRefCategory, Package
    from spdx_tools.spdx.model.spdx_no_assertion import SpdxNoAssertion

    nothing = SpdxNoAssertion()
    return Package(
        spdx_id=_identity(component),
        name=component.name,
        download_location=nothing,
        version=component.version,
        file_name=component.file,
        supplier=_organization(component.supplier) if component.supplier else nothing,
        originator=_person(component.author) if component.author else nothing,
        files_analyzed=False,
        checksums=[Checksum(ChecksumAlgorithm.SHA256, component.sha256)],
        homepage=_homepage(component.homepage),
        license_concluded=nothing,
        license_declared=_expression(component.licence.expression),
        copyright_text=nothing,
        summary=component.summary or None,
        external_references=[
            ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", component.purl)
        ],
    )


def _identity(component: Component) -> str:
    return f"SPDXRef-{component.identity}"


def _organization(text: str) -> Actor:
    from spdx_tools.spdx.model.actor import Actor, ActorType

    return Actor(ActorType.ORGANIZATION, *_named(text))


def _person(text: str) -> Actor:
    from spdx_tools.spdx.model.actor import Actor, ActorType

    return Actor(ActorType.PERSON, *_named(text))


def _named(text: str) -> tuple[str, str | None]:
    """Name and address of `Name <address>`; in SPDX, brackets would end a name."""
    found = re.fullmatch(r"\s*\"?(.*?)\"?\s*<([^<>\s@]+@[^<>\s@]+)>\s*", text)
    name, address = (found[1], found[2]) if found else (text, None)
    return " ".join(re.sub(r"[()]", " ", name).split()) or address or "unknown", address


def _homepage(text: str) -> str | None:
    from spdx_tools.spdx.validation.uri_validators import validate_url

    return text if text and not validate_url(text) else None


def _expression(text: str) -> Any:
    from spdx_tools.common.spdx_licensing import spdx_licensing  # type: ignore[import-untyped]
    from spdx_tools.spdx.model.spdx_no_assertion import SpdxNoAssertion

    return spdx_licensing.parse(text) if text else SpdxNoAssertion()


def _texts(bill: Bill) -> list[ExtractedLicensingInfo]:
    from spdx_tools.spdx.model.extracted_licensing_info import ExtractedLicensingInfo

    found = {name: text for component in bill.components for name, text in component.licence.texts.items()}
    return [
        ExtractedLicensingInfo(
            license_id=name, extracted_text=text, license_name=name.removeprefix("LicenseRef-")
        )
        for name, text in sorted(found.items())
    ]
