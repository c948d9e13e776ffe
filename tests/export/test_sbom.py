"""Bills of materials: what they list, and that others' validators take them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.export.conftest import Small
from tests.export.project import MANAGED, lock, wheel

from wardian.errors import HostError
from wardian.export.debian_licence import parse_copyright, spdx_name
from wardian.export.layered import Layered
from wardian.export.licence import all_of, known, recognise
from wardian.export.python_metadata import parse_metadata
from wardian.export.sbom import sbom

HEADER = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"


def tree(tmp_path: Path) -> list[Path]:
    """Two snapshots: Debian's and Python's."""
    below, above = tmp_path / "below", tmp_path / "above"
    doc = below / "usr/share/doc"
    (below / "var/lib/dpkg").mkdir(parents=True)
    (below / "var/lib/dpkg/status").write_text(
        "Package: bc\nStatus: install ok installed\nMaintainer: Bc (Team) <bc@example.org>\n"
        "Homepage: https://bc.example.org/\nDescription: calculator\n It adds.\n\n"
        "Package: python3\nSource: python3-defaults (1.0)\n\n"
        "Package: python3-pip-whl\nSource: python3-defaults\n"
    )
    fields = ("Files: *", "Copyright: x", "License: GPL-3+", "", "Files: a", "License: odd", " Do as you")
    bc = HEADER + "\n".join((*fields, " .", " like.", ""))
    for name, text in (("bc", bc), ("python3", "Free software, without a format.\n")):
        (doc / name).mkdir(parents=True)
        (doc / name / "copyright").write_text(text)
    info = above / "opt/venv/lib/python3.13/site-packages/six-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: six\nVersion: 2.0\nLicense-Expression: mit\n"
        "Author: Six <six@example.org>\n"
        "Project-URL: Homepage, https://six.example.org/\nSummary: six of them\n"
    )
    return [below, above]


@pytest.fixture
def roots(tmp_path: Path) -> list[Path]:
    return tree(tmp_path)


def validate_spdx(text: str, tmp_path: Path) -> None:
    from spdx_tools.spdx.parser.json.json_parser import parse_from_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    (tmp_path / "bill.spdx.json").write_text(text)
    assert validate_full_spdx_document(parse_from_file(str(tmp_path / "bill.spdx.json"))) == []


def validate_cyclonedx(text: str) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_spdx(roots: list[Path], tmp_path: Path) -> None:
    text = sbom("small", lock(), roots, format="spdx")
    validate_spdx(text, tmp_path)
    found = json.loads(text)
    packages = {package["name"]: package for package in found["packages"]}
    bc = packages["bc"]
    assert bc["versionInfo"] == "1.0-1"
    assert bc["checksums"] == [{"algorithm": "SHA256", "checksumValue": "ab" * 32}]
    assert bc["externalRefs"][0]["referenceLocator"] == "pkg:deb/debian/bc@1.0-1?arch=amd64&distro=trixie"
    assert bc["licenseDeclared"] == "GPL-3.0-or-later AND LicenseRef-bc-odd"
    assert (bc["supplier"], bc["originator"]) == (
        "Organization: Debian",
        "Person: Bc Team (bc@example.org)",
    )
    assert packages["python3"]["licenseDeclared"] == "LicenseRef-python3-copyright"
    # Its own file is a link that dpkg's filters take away.
    assert packages["python3-pip-whl"]["licenseDeclared"] == "LicenseRef-python3-pip-whl-copyright"
    assert packages["six"]["licenseDeclared"] == "MIT"
    assert packages["six"]["externalRefs"][0]["referenceLocator"] == "pkg:pypi/six@2.0"
    texts = {info["licenseId"]: info["extractedText"] for info in found["hasExtractedLicensingInfos"]}
    assert texts["LicenseRef-bc-odd"] == "Do as you\n\nlike."
    assert found["creationInfo"]["created"] == "2025-10-01T02:09:05Z"
    kinds = [(item["spdxElementId"], item["relationshipType"]) for item in found["relationships"]]
    assert kinds.count(("SPDXRef-image", "CONTAINS")) == 4
    assert ("SPDXRef-DOCUMENT", "DESCRIBES") in kinds


def test_cyclonedx(roots: list[Path]) -> None:
    text = sbom("small", lock(), roots, format="cyclonedx")
    validate_cyclonedx(text)
    found = json.loads(text)
    parts = {part["name"]: part for part in found["components"]}
    assert parts["bc"]["licenses"] == [{"expression": "GPL-3.0-or-later AND LicenseRef-bc-odd"}]
    assert parts["bc"]["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert parts["bc"]["supplier"] == {"name": "Debian"}
    assert parts["python3"]["licenses"][0]["license"]["text"]["content"] == "Free software, without a format."
    assert parts["six"]["purl"] == "pkg:pypi/six@2.0"
    assert len(next(item for item in found["dependencies"] if item["ref"] == "image")["dependsOn"]) == 4


@pytest.mark.parametrize("standard", ["spdx", "cyclonedx"])
def test_the_same_image_gives_the_same_bill(roots: list[Path], standard: Any) -> None:
    first = sbom("small", lock(), roots, format=standard)
    assert sbom("small", lock(), roots, format=standard) == first
    assert sbom("small", lock(packages=(wheel("six", "3"),)), roots, format=standard) != first
    assert sbom("other", lock(), roots, format=standard) != first


@pytest.mark.parametrize("standard", ["spdx", "cyclonedx"])
def test_nothing_known_but_the_lock(tmp_path: Path, standard: Any) -> None:
    (tmp_path / "root").mkdir()
    names = ("g++", "g--", "six")
    text = sbom(
        "x",
        lock(interpreter=MANAGED, packages=tuple(map(wheel, names))),
        [tmp_path / "root"],
        format=standard,
    )
    if standard == "spdx":
        validate_spdx(text, tmp_path)
    else:
        validate_cyclonedx(text)
    assert "pkg:generic/cpython@3.12.9" in text


@pytest.mark.parametrize(
    ("licence", "home"),
    [
        ("Apache-2.0+", "https://example.org/100%"),
        ("MPL-2.0-no-copyleft-exception", "http://x/#a#b"),
        ("eCos-2.0", "javascript:alert(1)"),
        ("GPL-2.0-with-font-exception", "a b"),
        ("Net-SNMP", "https://"),
        ("GPL-2.0+", "-"),
    ],
)
def test_odd_packages_are_listed_too(roots: list[Path], tmp_path: Path, licence: str, home: str) -> None:
    status = roots[0] / "var/lib/dpkg/status"
    status.write_text(status.read_text().replace("https://bc.example.org/", home))
    (roots[0] / "usr/share/doc/bc/copyright").write_text(f"{HEADER}Files: *\nLicense: {licence}\n")
    metadata = next(roots[1].rglob("METADATA"))
    text = metadata.read_text().replace("Expression: mit", f"Expression: {licence}")
    metadata.write_text(text.replace("https://six.example.org/", home))
    validate_spdx(sbom("small", lock(), roots, format="spdx"), tmp_path)
    text = sbom("small", lock(), roots, format="cyclonedx")
    validate_cyclonedx(text)
    parts = {part["name"]: part for part in json.loads(text)["components"]}
    assert [parts[name].get("externalReferences") for name in ("bc", "six")] == [None, None]


def test_roots_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"cannot read .*/absent: No such file or directory"):
        sbom("small", lock(), [tmp_path, tmp_path / "absent"], format="spdx")


@pytest.mark.network
@pytest.mark.namespaces
@pytest.mark.slow
def test_an_image_that_was_built(small: Small, tmp_path: Path) -> None:
    part = small.source.locks[0]
    text = sbom("small", part, small.roots, format="spdx")
    validate_spdx(text, tmp_path)
    validate_cyclonedx(sbom("small", part, small.roots, format="cyclonedx"))
    packages = {package["name"]: package for package in json.loads(text)["packages"]}
    assert part.python
    locked = {package.name: package.version for package in (*part.debian.packages, *part.python.packages)}
    assert {name: packages[name]["versionInfo"] for name in locked} == locked
    # beta says nothing of its licence.
    assert [name for name in locked if packages[name]["licenseDeclared"] == "NOASSERTION"] == ["beta"]
    assert packages["alpha"]["licenseDeclared"] == "MIT OR Apache-2.0"
    assert packages["zlib1g"]["licenseDeclared"] == "Zlib"


# --- licences ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-2", "GPL-2.0-only"),
        ("gpl-2.0+", "GPL-2.0-or-later"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("AGPL-3+", "AGPL-3.0-or-later"),
        ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
        ("Expat", "MIT"),
        ("BSD-3-clause", "BSD-3-Clause"),
        ("ISC", "ISC"),
        ("Apache-2.0", "Apache-2.0"),
        ("Artistic-2.0", "Artistic-2.0"),
        ("public-domain", ""),
        ("GPL-9+", ""),
        ("LicenseRef-x", ""),
        ("GPL-2+ with OpenSSL exception", ""),
        ("(" * 2000, ""),
        ("", ""),
    ],
)
def test_debians_names(name: str, expected: str) -> None:
    assert spdx_name(name) == expected


def test_expressions_that_all_hold() -> None:
    assert all_of(["MIT AND ISC", "", "ISC"]) == "ISC AND MIT"
    assert all_of(["MIT", "(ISC AND Zlib)"]) == "(ISC AND Zlib) AND MIT"
    assert all_of(["MIT OR ISC", "Zlib"]) == "(MIT OR ISC) AND Zlib"
    assert known("gpl-2.0-only with classpath-exception-2.0 and mit")


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("GPL-2+ or Artistic-2.0", "GPL-2.0-or-later OR Artistic-2.0"),
        ("GPL-2+ or ISC, and Expat", "(GPL-2.0-or-later OR ISC) AND MIT"),
        ("ISC and GPL-2+ or Expat", "ISC AND GPL-2.0-or-later OR MIT"),
        ("ISC, Expat", "ISC AND MIT"),
        ("Perl and ISC", "(Artistic-1.0-Perl OR GPL-1.0-or-later) AND ISC"),
        ("odd one", "LicenseRef-p-odd-one"),
    ],
)
def test_short_names_with_words_between(field: str, expected: str) -> None:
    assert parse_copyright(f"{HEADER}Files: *\nLicense: {field}\n", "p").expression == expected


def test_a_text_stands_apart_from_its_name() -> None:
    found = parse_copyright(f"{HEADER}Files: *\nLicense: odd\n\nLicense: odd\n The text.\n", "p")
    assert found.texts == {"LicenseRef-p-odd": "The text."}


@pytest.mark.parametrize(
    "text", ["", "License: GPL-2\n", HEADER, f"{HEADER}Files: *\n", "Format: x\nLicense:\n"]
)
def test_a_copyright_file_in_no_format_is_quoted(text: str) -> None:
    assert parse_copyright(text, "p").expression == "LicenseRef-p-copyright"


BSD = "Redistribution and use in source and binary forms, with or without modification, are permitted"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("License-Expression: MIT AND bsd-3-clause", "MIT AND BSD-3-Clause"),
        ("License: Apache 2.0", "Apache-2.0"),
        ("License: MIT", "MIT"),
        ("Classifier: License :: OSI Approved :: MIT License", "MIT"),
        ("Classifier: License :: OSI Approved :: BSD License", "LicenseRef-python-p"),
        ("License: Ours alone", "LicenseRef-python-p"),
        (f"License: {BSD}", "BSD-2-Clause"),
        ("Summary: nothing said", ""),
    ],
)
def test_what_a_distribution_says_of_its_licence(lines: str, expected: str) -> None:
    data = f"Metadata-Version: 2.4\nName: p\nVersion: 1\n{lines}\n".encode()
    assert parse_metadata(data, "p").licence.expression == expected


def test_two_texts_in_one_file_are_not_told_apart() -> None:
    assert recognise(f"{BSD} {BSD}") == ""
    assert recognise(f"{BSD}. Names may not be used to endorse or promote products derived") == "BSD-3-Clause"


# --- reading the tree ---------------------------------------------------------------------------------


def test_links_stay_in_the_tree(tmp_path: Path) -> None:
    below, above = tmp_path / "below", tmp_path / "above"
    (below / "usr/share/doc/b").mkdir(parents=True)
    (below / "usr/share/doc/b/copyright").write_text("b")
    (above / "usr/share/doc").mkdir(parents=True)
    (above / "usr/share/doc/a").symlink_to("b")
    (above / "usr/share/doc/evil").symlink_to("/etc")
    (above / "usr/share/doc/far").symlink_to("../../../../../../etc")
    (above / "usr/share/doc/loop").symlink_to("loop")
    (above / "usr/share/doc/folder").mkdir()
    with Layered([below, above]) as found:
        assert found.read("usr/share/doc/a/copyright") == b"b"
        assert found.read("usr/share/doc/evil/passwd") is None
        assert found.read("usr/share/doc/far/passwd") is None
        assert found.read("usr/share/doc/loop/x") is None
        assert found.read("usr/share/doc/folder") is None
        assert found.names("usr/share/doc") == ["a", "b", "evil", "far", "folder", "loop"]
        assert found.names("nowhere") == []
