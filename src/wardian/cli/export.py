"""`wardian export`: the image, or what makes it, in others' formats."""

from __future__ import annotations

from wardian.cli import output, save
from wardian.cli.misplaced import refuse_beside_image
from wardian.cli.parser import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from wardian import Project
    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

FORMATS = {
    "oci": "an OCI layout: a folder, or one file where its name ends in .tar",
    "docker-archive": "what `docker load` and `podman load` read",
    "rootfs": "the file system that a container starts with, as a tar archive",
    "dockerfile": "a Dockerfile with the files that it needs, as a folder",
    "requirements": "the Python packages with their hashes, for pip",
    "sbom": "the bill of materials: every package with version, hash and licence",
}
STANDARDS = ("spdx", "cyclonedx")
# Whose format an option is: all others refuse it.
_OPTIONS = {
    "simple": ("dockerfile",),
    "base": ("dockerfile",),
    "standard": ("sbom",),
    "compression": ("oci", "docker-archive"),  # in a rootfs no layer is left
}

USAGE = "FORMAT [-o FILE] [OPTIONS]"
DESCRIPTION = """\
Write the project's image, or one of the store, in a format that other tools read; or write what makes the
project's image. Archives and text go to standard output unless -o names a file; folders get the format's
name unless it is given. Formats:

""" + "\n".join(f"  {name:<16}{line}" for name, line in FORMATS.items())
EXAMPLES = (
    ("wardian export oci -o layout", "a folder; an image of another name there stays"),
    ("wardian export rootfs | tar -C root -x", "the files alone"),
    ("wardian export dockerfile && docker build dockerfile", "no wardian needed from there on"),
    ("wardian export sbom --standard cyclonedx -o bom.json", "for an audit"),
)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    parser.add_argument("format", choices=tuple(FORMATS), metavar="FORMAT", help="one of those above")
    output.add_output(parser, "write to FILE, or to this folder; `-` is standard output")
    parser.add_argument("--simple", action="store_true", help="dockerfile: short, without hashes and dates")
    parser.add_argument("--base", metavar="REF", default="", help="dockerfile: the image to stand on")
    parser.add_argument("--standard", choices=STANDARDS, help="sbom: which one (default: spdx)")
    parser.add_image(platform="with --image: which of its platforms; requirements: which of the lock's")
    parser.add_locking()
    parser.add_common()


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Write it."""
    _check_options(arguments)
    refuse_beside_image(arguments)
    write: dict[str, Callable[[argparse.Namespace, Session], None]] = {
        "oci": _oci,
        "dockerfile": _dockerfile,
        "requirements": _requirements,
        "sbom": _sbom,
    }
    if arguments.format in write:
        write[arguments.format](arguments, session)
    else:
        save.write(arguments.format, arguments, session)
    return 0


def _oci(arguments: argparse.Namespace, session: Session) -> None:
    name = arguments.output or "oci"
    if name == output.STANDARD or name.endswith(".tar"):
        save.write("oci-archive", arguments, session)
        return
    folder = session.path(name)
    image = session.store().save_layout(lambda: save.image(arguments, session), folder)
    session.tell_of_output(folder)
    session.say(f"{name}: {image.name} {image.descriptor.digest}")


def _dockerfile(arguments: argparse.Namespace, session: Session) -> None:
    from wardian import export_dockerfile

    _check_platform(arguments)
    name = arguments.output or "dockerfile"
    if name == output.STANDARD:
        raise UsageError("wardian export: a Dockerfile needs files beside it", hint="name a folder with -o")
    written = export_dockerfile(
        _project(arguments, session),
        session.path(name),
        simple=arguments.simple,
        base=arguments.base,
    )
    session.tell_of_output(session.path(name))
    session.say(f"{name}: {', '.join(sorted({_top(session.path(name), path) for path in written}))}")


def _requirements(arguments: argparse.Namespace, session: Session) -> None:
    from wardian import export_requirements

    project = _project(arguments, session)
    _write_text(arguments, session, lambda: export_requirements(project, platform=arguments.platform))


def _sbom(arguments: argparse.Namespace, session: Session) -> None:
    from wardian import export_sbom

    _check_platform(arguments)
    project = _project(arguments, session)
    _write_text(arguments, session, lambda: export_sbom(project, standard=arguments.standard or "spdx"))


def _check_options(arguments: argparse.Namespace) -> None:
    for name, formats in _OPTIONS.items():
        if getattr(arguments, name) and arguments.format not in formats:
            raise UsageError(
                f"wardian export: --{name} is for {' and '.join(formats)} alone, not for {arguments.format}",
                hint=f"leave --{name} out",
            )


def _check_platform(arguments: argparse.Namespace) -> None:
    if arguments.platform:
        raise UsageError(
            f"wardian export: {arguments.format} is made for this machine's platform, or all that are locked",
            hint="leave --platform out",
        )


def _write_text(arguments: argparse.Namespace, session: Session, made: Callable[[], str]) -> None:
    name = arguments.output or output.STANDARD
    output.check(name, session, force=arguments.force, binary=False)  # before it is locked and built
    output.text(made(), name, session, force=arguments.force)


def _project(arguments: argparse.Namespace, session: Session) -> Project:
    if arguments.image is not None:
        raise UsageError(
            f"wardian export: {arguments.format} is made from a project's lock, not from an image",
            hint="leave --image out, in the project's folder",
        )
    return session.project(offline=arguments.offline, locked=arguments.locked)


def _top(folder: str, path: object) -> str:
    import os

    return os.path.relpath(str(path), folder).partition(os.sep)[0]
