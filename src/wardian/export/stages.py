"""The stages of a Dockerfile that installs exactly what a lock names: the base, Debian, Python, the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wardian.export import debian_sources
from wardian.export.base import check_base, default_base
from wardian.export.ending import ending, own_user
from wardian.export.form import APT_ARGUMENTS, DEBIAN, ON, SOURCES, Form
from wardian.export.instructions import run
from wardian.export.places import comment
from wardian.export.python_stages import python_stages

if TYPE_CHECKING:
    from wardian.export.places import Places
    from wardian.export.source import Source

Block = list[str]

FILTERS = "dpkg.cfg"
DROPPED = "dropped"

_INSTALLED = r"dpkg-query --show --showformat='${Package}=${Version}\n' | LC_ALL=C sort"


def stages(source: Source, places: Places, *, mounts: bool) -> list[Block]:
    """All blocks, from the base on, for builders that know mounts or for those that do not."""
    form = Form(source=source, mounts=mounts)
    base, system = _base(source, places), _system(form, places)
    return [base, system, *python_stages(form, places), _image(source, places), *ending(source, places)]


def _base(source: Source, places: Places) -> Block:
    told = places.at(f"The base is {source.spec.base}", "base")
    return [*comment(f"{told}."), f"ARG BASE={check_base(source.base or default_base(source.spec))}"]


def _system(form: Form, places: Places) -> Block:
    source = form.source
    asked = places.items(source.spec.system.packages, "system", "packages")
    day = debian_sources.moment([lock.debian for lock in source.locks])
    return [
        *comment(
            f"Debian packages: {asked or 'the base alone'}, with all they need.",
            f"SNAPSHOT has the archive as it was about {day}; mirrors that still have these versions may be "
            "named instead.",
        ),
        "FROM ${BASE} AS system",
        *debian_sources.arguments(),
        *APT_ARGUMENTS,
        *run(_preparations(source)),
        *form.apt([*_installation(form), *_removals(form)]),
    ]


def _preparations(source: Source) -> list[str]:
    sources = ON.join(debian_sources.sources([lock.debian for lock in source.locks]))
    line = "printf 'deb [check-valid-until=no] %s %s main\\n'"
    # Debian's images throw away what apt has downloaded: here the cache is to keep it.
    return [
        f"{line}{ON}{sources}{ON}| sort -u > {SOURCES}",
        "rm -f /etc/apt/apt.conf.d/docker-clean",
    ]


def _installation(form: Form) -> list[str]:
    """Install what is locked, take away what the base has beyond; fail on any other difference."""
    locked = form.listed(DEBIAN, "packages")
    surplus = f"{_INSTALLED}{ON}| comm -13 {locked} - | cut -d= -f1"
    purge = "xargs -r dpkg --purge --force-remove-essential --force-remove-protected"
    filters = f"cp /tmp/{DEBIAN}/{FILTERS} /etc/dpkg/dpkg.cfg.d/wardian"
    return [
        *([] if form.source.spec.image.docs else [filters]),
        f"xargs --arg-file={locked} apt-get install --allow-downgrades",
        f"{surplus}{ON}| {purge}",
        f"{_INSTALLED}{ON}| diff {locked} -",
    ]


def _removals(form: Form) -> list[str]:
    logs = "rm -rf /var/log/apt/* /var/log/dpkg.log /var/log/alternatives.log"
    if not form.source.dropped_debian:
        return [logs]
    # What `slim` leaves out.
    return [logs, f"xargs --arg-file=/tmp/{DEBIAN}/{DROPPED}.txt --delimiter='\\n' rm -f"]


def _image(source: Source, places: Places) -> Block:
    """The user, as in wardian's own images: a group of 0 that may do what the user may serves any id."""
    commands = [
        f"rm -rf {SOURCES} /tmp/{DEBIAN}",
        # Podman takes the folder below a cache mount away with it.
        "mkdir -p /var/cache/apt/archives/partial",
        *own_user(source),
        "chown -R 1000:0 /home/user",
        "chmod -R u=rwX,g=rwX,o=rX /home/user",
    ]
    slim = places.at("slim", "image", "slim") if source.spec.image.slim and not source.dropped else ""
    found = [
        *comment(
            "The image: the stages' results, and a user who is not root.",
            f"What {slim} leaves out is found by building, and is not left out here." if slim else "",
        ),
        "FROM system",
        *run(commands),
    ]
    if source.managed:
        found.append("COPY --from=interpreter /opt/python /opt/python")
    if source.locks[0].python:
        found.append("COPY --from=python /opt/venv /opt/venv")
    return found
