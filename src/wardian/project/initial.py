"""Writes a spec as the text of a commented `wardian.toml`; reading that text gives an equal spec."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

from wardian.errors import SpecError
from wardian.project.detect import detect
from wardian.project.image import ImageSpec
from wardian.project.keys import key_text
from wardian.project.kinds import Key, Table, declared_keys
from wardian.project.read import SPEC_FILE, find_spec
from wardian.project.spec import Mount, Spec, Task

_WIDTH = 96


def write_initial(folder: Path, *, force: bool = False) -> tuple[Path, tuple[str, ...]]:
    """Write `wardian.toml` for what is detected; returns its path, and sentences on what was detected.

    Raises SpecError where a spec stands already.
    `force` overwrites a `wardian.toml`, but leaves `[tool.wardian]` alone: that file is not ours.
    """
    from wardian.system.files import write_atomic

    path = folder / SPEC_FILE
    standing = find_spec(folder)
    if standing is not None and (standing.path != path or not force):
        advice = "overwrite it with --force" if standing.path == path else "remove [tool.wardian] from it"
        raise SpecError(f"{standing.path} holds a spec already", hint=f"edit it, or {advice}")
    detection = detect(folder, written=False)
    write_atomic(path, render(detection.spec, detection.sources))
    return path, detection.sources


def render(spec: Spec, sources: tuple[str, ...] = ()) -> str:
    """Return the text of a `wardian.toml`; `sources` become comments at its head."""
    lines = ["# What this project runs in. `wardian schema` prints all keys.", ""]
    if sources:
        lines[1:1] = ["#", *(comment for source in sources for comment in _comment(source))]
    tables: list[str] = []  # each followed by a blank line, as the keys above them are
    for name, key in declared_keys(Spec).items():
        value = getattr(spec, name)
        if name == "image":
            tables += [*_image(key, spec.image), ""]
        elif isinstance(key.kind, Table):
            tables += [*_table(name, key, value), ""]
        elif name in ("env", "mounts", "tasks"):
            tables += [*_entries(name, key, value), ""]
        else:
            lines += [*_comment(key.says), *_line(name, _value(value), key.example), ""]
    return "\n".join([*lines, *tables])


def _table(name: str, key: Key, value: object) -> list[str]:
    assert isinstance(key.kind, Table)
    lines = [*_comment(key.says), f"[{name}]" if value is not None else f"# [{name}]"]
    for inner, inner_key in declared_keys(key.kind.model).items():
        written = _value(getattr(value, inner, None))
        if inner == "packages" and value is not None:
            written = written or "[]"  # so that there is a place to add to
        lines += [*_comment(inner_key.says), *_line(inner, written, inner_key.example)]
    return lines


def _image(key: Key, image: ImageSpec) -> list[str]:
    """Write what is not as by default, and else one example: most projects need none of its keys."""
    keys = declared_keys(ImageSpec)
    values = {name: getattr(image, name) for name in keys}
    written = {name: value for name, value in values.items() if value != getattr(ImageSpec(), name)}
    if not written:
        return [*_comment(key.says), "# [image]", f"# command = {keys['command'].example}"]
    return [*_comment(key.says), "[image]", *(f"{name} = {_any(value)}" for name, value in written.items())]


def _any(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        pairs = ", ".join(f"{key_text((name,))} = {_text(item)}" for name, item in value.items())
        return f"{{ {pairs} }}"
    return _value(value)


def _entries(name: str, key: Key, value: object) -> list[str]:
    shown = {entry: _value(item) or '""' for entry, item in _pairs(value)}
    if not shown:
        example = key.example.strip("{} ")
        return [*_comment(key.says), f"# [{name}]", f"# {example}"]
    return [
        *_comment(key.says),
        f"[{name}]",
        *(f"{key_text((entry,))} = {item}" for entry, item in shown.items()),
    ]


def _pairs(value: object) -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return list(value.items())
    assert isinstance(value, tuple)
    return [(mount.target, mount) for mount in value if isinstance(mount, Mount)]


def _line(name: str, value: str, example: str) -> list[str]:
    return [f"{name} = {value}" if value else f"# {name} = {example}"]


def _value(value: object) -> str:
    """Write a value as TOML, empty for what stands for an absent key."""
    if isinstance(value, Mount):
        return _text(f"{value.source}{':ro' if value.read_only else ''}")
    if isinstance(value, Task):
        return _task(value)
    if isinstance(value, tuple):
        return _array([_text(str(item)) for item in value])
    return _text(str(value)) if value else ""


def _task(task: Task) -> str:
    command = (
        _text(task.command) if isinstance(task.command, str) else f"[{', '.join(map(_text, task.command))}]"
    )
    if not task.description and not task.env:
        return command
    parts = [f"command = {command}"]
    parts += [f"description = {_text(task.description)}"] if task.description else []
    env = ", ".join(f"{name} = {_text(value)}" for name, value in task.env.items())
    parts += [f"env = {{ {env} }}"] if env else []
    return f"{{ {', '.join(parts)} }}"


def _array(items: list[str]) -> str:
    line = f"[{', '.join(items)}]"
    if len(line) <= 72:
        return line if items else ""
    return "\n".join(["[", *(f"    {item}," for item in items), "]"])


def _text(text: str) -> str:
    # JSON's escapes are TOML's, once nothing but control characters and quotes is escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> list[str]:
    plain = "".join(character if character.isprintable() else " " for character in text)
    return textwrap.wrap(plain, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
