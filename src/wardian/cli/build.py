"""`wardian build`: make the image that the lock names."""

from __future__ import annotations

from wardian.cli.render import SHORT_KEY, columns, seconds, size
from wardian.errors import BuildError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian import Image, Project, SlimReport
    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

DESCRIPTION = """\
Make the project's image: the Debian base, its system packages, its Python environment. Each part is built
once per content and shared among projects; when nothing has changed nothing is done. Locks first when the
declaration has changed."""
EXAMPLES = (
    ("wardian build", "lock if need be, then build"),
    ("wardian build --locked", "in CI: never resolve, fail when wardian.lock is stale"),
    ("wardian build --verify", "prove that whoever builds this lock gets the same image"),
    ("wardian build --json", "name, key and parts for a program to read"),
)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    parser.add_argument(
        "--verify",
        action="store_true",
        help="build the image a second time from nothing, and compare: exit 1 where a byte differs",
    )
    parser.add_locking()
    parser.add_common(json=True)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Build and show the parts, reused and built."""
    project = session.project(offline=arguments.offline, locked=arguments.locked)
    if arguments.verify:
        return _verify(project, arguments, session)
    image = project.build()
    if arguments.json:
        session.print_json(_as_json(image))
        return 0
    if session.verbose:
        rows = [
            (part.name, part.key[:SHORT_KEY], size(part.bytes), _told(part.reused, part.seconds))
            for part in image.parts
        ]
        for line in columns(rows, right=(2,)):
            session.say(line)
    if image.slim:
        _tell_slim(image.slim, session)
    built = [part.name for part in image.parts if not part.reused]
    outcome = f"built {', '.join(built)}" if built else "nothing to do"
    session.say(
        f"{image.name} ({image.key[:SHORT_KEY]}) for {image.platform}: {outcome} in {seconds(image.seconds)}"
    )
    return 0


def _verify(project: Project, arguments: argparse.Namespace, session: Session) -> int:
    image, difference = project.verify()
    digest = str(image.descriptor.digest)
    if arguments.json:
        session.print_json(
            {"name": image.name, "digest": digest, "difference": str(difference) if difference else None}
        )
        return 1 if difference else 0
    if difference:
        raise BuildError(
            f"{image.name} built twice is not the same: {difference}",
            hint="report this with the package's name; the lock is not at fault",
        )
    session.say(f"{image.name} {digest}: built twice, the same")
    return 0


def _tell_slim(report: SlimReport, session: Session) -> None:
    kinds = ", ".join(f"{kind} {size(freed)}" for kind, freed in report.freed.items())
    session.say(f"slim: {size(report.bytes)} left out ({kinds})")
    if not session.verbose:
        return
    rows = [
        (f"{package.ecosystem}: {package.name}", size(package.bytes), f"{len(package.dropped)} files")
        for package in report.packages
    ]
    for line in columns(rows, right=(1, 2)):
        session.say(f"  {line}")


def _told(reused: bool, took: float) -> str:
    return "reused" if reused else f"built in {seconds(took)}"


def _as_json(image: Image) -> dict[str, object]:
    def parts(*, reused: bool) -> list[dict[str, object]]:
        return [
            {"name": part.name, "key": part.key, "seconds": round(part.seconds, 3), "bytes": part.bytes}
            for part in image.parts
            if part.reused == reused
        ]

    return {
        "name": image.name,
        "key": image.key,
        "platform": str(image.platform),
        "seconds": round(image.seconds, 3),
        "reused": parts(reused=True),
        "built": parts(reused=False),
        **({"slim": image.slim.as_json()} if image.slim else {}),
    }
