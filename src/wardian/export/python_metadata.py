"""What installed distributions say of themselves: core metadata's licence, author and home page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wardian.export.licence import Licence, all_of, bounded, known, recognise, reference

if TYPE_CHECKING:
    from wardian.export.layered import Layered

# Trove classifiers that mean one licence of SPDX's; "BSD License" and its like mean several.
_CLASSIFIERS = {
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "Universal Permissive License (UPL)": "UPL-1.0",
    "Zope Public License": "ZPL-2.1",
    "zlib/libpng License": "Zlib",
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 (LGPLv2)": "LGPL-2.0-only",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "Eclipse Public License 2.0 (EPL-2.0)": "EPL-2.0",
    "European Union Public Licence 1.2 (EUPL 1.2)": "EUPL-1.2",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "Academic Free License (AFL)": "AFL-3.0",
}
# What people write into `License`, in lower case and without punctuation.
_WORDS = {
    "mit license": "MIT",
    "the mit license": "MIT",
    "mit": "MIT",
    "apache 2": "Apache-2.0",
    "apache 2 0": "Apache-2.0",
    "apache license 2 0": "Apache-2.0",
    "apache license version 2 0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache software license 2 0": "Apache-2.0",
    "bsd 3 clause": "BSD-3-Clause",
    "bsd 3 clause license": "BSD-3-Clause",
    "3 clause bsd": "BSD-3-Clause",
    "3 clause bsd license": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "new bsd license": "BSD-3-Clause",
    "modified bsd license": "BSD-3-Clause",
    "bsd 2 clause": "BSD-2-Clause",
    "simplified bsd": "BSD-2-Clause",
    "psf": "PSF-2.0",
    "psfl": "PSF-2.0",
    "mpl 2 0": "MPL-2.0",
    "lgpl v3": "LGPL-3.0-only",
    "lgplv3": "LGPL-3.0-only",
    "isc license": "ISC",
}
_OSI = "License :: OSI Approved :: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """An installed distribution, as its METADATA describes it."""

    licence: Licence
    author: str
    homepage: str
    summary: str


def read_distributions(tree: Layered, version: str) -> Mapping[str, Distribution]:
    """Those of the environment by normalized name (PEP 503); `version` is the interpreter's."""
    from packaging.utils import canonicalize_name

    minor = ".".join(version.split(".")[:2])
    site = f"opt/venv/lib/python{minor}/site-packages"
    found = {}
    for folder in tree.names(site):
        if not folder.endswith(".dist-info"):
            continue
        data = tree.read(f"{site}/{folder}/METADATA")
        name = canonicalize_name(folder.removesuffix(".dist-info").partition("-")[0])
        if data is not None:
            texts = _licence_texts(tree, f"{site}/{folder}")
            found[str(name)] = parse_metadata(data, str(name), texts)
    return found


def parse_metadata(data: bytes, name: str, texts: str = "") -> Distribution:
    """Read a METADATA file; `texts` are the licence files beside it."""
    from packaging.metadata import parse_email

    raw: Any = parse_email(data)[0]
    urls = {label.lower(): url for label, url in (raw.get("project_urls") or {}).items()}
    home = raw.get("home_page") or urls.get("homepage") or urls.get("source") or urls.get("repository") or ""
    return Distribution(
        licence=_licence(raw, name, texts),
        author=_author(raw),
        homepage=str(home),
        summary=str(raw.get("summary") or ""),
    )


def _licence(raw: Any, name: str, texts: str) -> Licence:
    """Its `License-Expression`, else `License` where that is a name, else what classifiers say."""
    stated = str(raw.get("license_expression") or "")
    free = str(raw.get("license") or "").strip()
    classifiers = [
        str(line).removeprefix(_OSI) for line in raw.get("classifiers") or () if "License" in str(line)
    ]
    plain = re.sub(r"[^a-z0-9]+", " ", free.lower()).strip()
    found = known(stated) or known(free) or _WORDS.get(plain, "")
    found = found or all_of(_CLASSIFIERS.get(line, "") for line in classifiers)
    text = texts or free or "\n".join(classifiers)
    found = found or recognise(text)
    if found or not (text or stated):
        return Licence(expression=found)
    refer = reference("python", name)
    return Licence(expression=refer, texts={refer: bounded(text or stated)})


def _author(raw: Any) -> str:
    for key in ("author", "maintainer"):
        name, email = raw.get(key), raw.get(f"{key}_email")
        if name or email:
            return str(name or email).split(",")[0].strip()
    return ""


def _licence_texts(tree: Layered, folder: str) -> str:
    """The licence files of a distribution, one after the other (PEP 639 has them in `licenses`)."""
    paths = [f"{folder}/{name}" for name in tree.names(folder)]
    paths += [f"{folder}/licenses/{name}" for name in tree.names(f"{folder}/licenses")]
    wanted = [path for path in paths if re.match(r"(?i)(licen[cs]e|copying)", path.rpartition("/")[2])]
    found = [data.decode(errors="replace") for path in wanted if (data := tree.read(path)) is not None]
    return "\n\n".join(found)
