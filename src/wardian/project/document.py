"""A TOML file with the places in it: bounded reading, and errors that say file, line and key."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from wardian.errors import SpecError
from wardian.project.keys import Keys, key_text

# A declaration is written by hand: a larger file is a mistake or an attack, and tomllib's cost on
# hostile text grows with the square of its length.
LARGEST = 1 << 20
_DEEPEST = 500
# TOML's strings, with three quotes and one, and comments.
_QUOTED = (
    r'"""(?:[^\\"]+|\\.|"(?!""))*(?:"{3,5})?'
    r"|'''(?:[^']+|'(?!''))*(?:'{3,5})?"
    r'|"(?:[^\\"\n]+|\\[^\n])*"?'
    r"|'[^'\n]*'?"
    r"|#[^\n]*"
)


def read_bytes(path: Path, *, limit: int = LARGEST) -> bytes:
    """Read a declaration; raises SpecError where it is no readable file of at most `limit` bytes."""
    try:
        if not path.is_file():
            raise SpecError(f"cannot read {path}: {_why_no_file(path)}")
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SpecError(f"cannot read {path}: {reason}", hint="check the path and its permissions") from error
    if len(raw) > limit:
        raise SpecError(f"{path} is larger than {limit >> 20} MiB, which no declaration is")
    return raw


def _why_no_file(path: Path) -> str:
    if path.is_dir():
        return "it is a folder"
    return "it is no regular file" if path.exists() else "there is no such file"


def read_text(path: Path, *, limit: int = LARGEST) -> str:
    """Read a declaration as UTF-8, as TOML and PEP 723 demand; raises SpecError."""
    raw = read_bytes(path, limit=limit)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SpecError(f"{path}:{line}: not UTF-8 text", hint="save the file as UTF-8") from error


def parse_toml(text: str, origin: str, *, first_line: int = 1) -> dict[str, object]:
    """Parse TOML; `origin` and the line, counted from `first_line`, stand in the SpecError."""
    import re
    import tomllib

    if deep := _too_deep(text):
        raise SpecError(f"{origin}:{deep + first_line - 1}: nested too deep to be a declaration")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise SpecError(f"{origin}: nested too deep to be a declaration") from error
    except ValueError as error:
        # TOMLDecodeError says where at its end; int() of more digits than Python converts does not.
        reason = str(error)
        found = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", reason)
        line = int(found[1]) if found and found[1] else text.count("\n") + 1 if found else None
        place = f":{line + first_line - 1}" if line else ""
        reason = reason[: found.start()] if found else reason.split(";")[0]
        raise SpecError(f"{origin}{place}: this is not valid TOML: {reason}") from error


def _too_deep(text: str) -> int:
    """The line of a dotted key with so many parts that tomllib's cost, which grows with their square, shows.

    0 where there is none.
    """
    import re

    if all(line.count(".") <= _DEEPEST for line in text.split("\n")):
        return 0
    # Strings and comments hold any number of dots. One that does not end is an error before what follows it.
    bare = re.sub(_QUOTED, lambda found: "\n" * found[0].count("\n"), text, flags=re.DOTALL)
    for number, line in enumerate(bare.split("\n"), 1):
        if any(part.count(".") > _DEEPEST for part in re.split("[=,]", line)):
            return number
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A parsed TOML file; `prefix` is the table that is read, for example `tool.wardian`."""

    path: Path
    text: str = field(repr=False)
    prefix: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path, *, prefix: tuple[str, ...] = ()) -> Document:
        """Read the text of `path`; raises SpecError."""
        return cls(path=path, text=read_text(path), prefix=prefix)

    def table(self) -> object:
        """Parse and return what stands at `prefix`, None where nothing does; raises SpecError."""
        value: object = parse_toml(self.text, str(self.path))
        for key in self.prefix:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def error(self, keys: Keys, problem: str, *, hint: str | None = None) -> SpecError:
        """Make the error of a key: `wardian.toml:3: python.packages[0]: …`.

        A key that is absent is placed at the nearest table around it.
        """
        from wardian.project.positions import locate

        lines = locate(self.text)
        place: Keys = (*self.prefix, *keys)
        while place not in lines:
            place = place[:-1]
        where = f"{key_text((*self.prefix, *keys))}: " if keys else ""
        return SpecError(f"{self.path}:{lines[place]}: {where}{problem}", hint=hint)
