"""`wardian run`: a notebook, a script, a task or a command in the project's container."""

from __future__ import annotations

from wardian.cli import container, image_run
from wardian.cli.completers import targets
from wardian.cli.parser import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from wardian import RunRequest
    from wardian.cli.parser import Parser
    from wardian.cli.session import Session

USAGE = """[OPTIONS] (NOTEBOOK.ipynb | SCRIPT.py | TASK) [ARGUMENT ...]
       wardian run [OPTIONS] -- COMMAND [ARGUMENT ...]
       wardian run --image NAME [OPTIONS] [[--] COMMAND [ARGUMENT ...]]"""
DESCRIPTION = """\
Run something in the project's container, which is locked and built first where it has to be.

  NOTEBOOK.ipynb  execute it headless; the executed notebook and an HTML page go to runs/
  SCRIPT.py       run it with the container's Python
  TASK            run the task of that name from [tasks] in wardian.toml
  -- COMMAND      run any command

The project is mounted at /work, which is the working directory; files created there are yours. Options of
wardian come before the target; everything after it goes to the target. The exit status is the target's.

With --image it is any OCI or Docker image that is run, of a registry or of the store: its own entrypoint and
command, or the command that is named. Of yours it sees what -v mounts and nothing else."""
EXAMPLES = (
    ("wardian run analysis.ipynb", "execute a notebook"),
    ("wardian run -p year=2024 analysis.ipynb", "with a parameter"),
    ("wardian run train.py --epochs 3", "a script with arguments"),
    ("wardian run train", "a task"),
    ("wardian run -v ~/data:/data:ro -- ls /data", "a command, with a folder mounted read-only"),
    ("cat words.txt | wardian run -- wc -l", "pipes go through"),
    ("wardian run --image alpine -- cat /etc/os-release", "any image, pulled first"),
)


def add_arguments(parser: Parser) -> None:
    """Declare the verb's options."""
    parser.add_command(targets)
    group = parser.add_argument_group("Notebook")
    group.add_argument(
        "-p",
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a variable of the cell tagged `parameters`",
    )
    group.add_argument("--output", metavar="DIR", help="where results go, instead of runs/")
    container.add_container_arguments(parser)
    image_run.add_image_arguments(parser)
    parser.add_common()


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Run the target; the status is its own."""
    if arguments.image is not None:
        return _run_image(arguments, session)
    image_run.refuse_alone(arguments)
    wanted = request(arguments, session)
    project = session.project(offline=arguments.offline, locked=arguments.locked)
    status: int = project.run(wanted)
    return status


def _run_image(arguments: argparse.Namespace, session: Session) -> int:
    if arguments.parameter or arguments.output:
        raise UsageError("-p and --output are for notebooks", hint="an image takes variables by -e")
    words = arguments.command
    return image_run.execute(arguments, session, words[1:] if words[:1] == ["--"] else words)


def request(arguments: argparse.Namespace, session: Session) -> RunRequest:
    """The command line as the API takes it; raises UsageError."""
    words = arguments.command
    explicit = words[:1] == ["--"]
    words = words[1:] if explicit else words
    if not words:
        raise UsageError("wardian run: nothing to run is named", hint="see `wardian run --help`")
    options = container.options(arguments, session)
    parameters = _parameters(arguments)
    from wardian import RunRequest

    return RunRequest(
        target=None if explicit else words[0],
        arguments=tuple(words if explicit else words[1:]),
        parameters=parameters,
        output=session.path(arguments.output) if arguments.output else None,
        verbose=session.verbose,
        **options,
    )


def _parameters(arguments: argparse.Namespace) -> dict[str, str]:
    """Each `-p` as name and text; the API judges names and reads values, as they are a notebook's."""
    found: dict[str, str] = {}
    for word in arguments.parameter:
        name, equals, text = word.partition("=")
        if not equals:
            raise UsageError(f"-p {word!r} has no value", hint="write NAME=VALUE")
        found[name] = text
    return found
