"""Finds what a folder's Python files and notebooks import and install, and names the distributions.

Used only where a folder declares no Python packages. Nothing is executed.
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

from wardian.errors import SpecError
from wardian.project import grammar
from wardian.project.document import read_bytes
from wardian.project.mapping import find_providers
from wardian.project.notebooks import installed_words, read_notebook, strip_magics
from wardian.project.tree import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Modules of the standard library that newer Pythons than some project's no longer have.
_FORMER = {"asynchat", "asyncore", "cgi", "cgitb", "crypt", "distutils", "imp", "pipes", "smtpd", "telnetlib"}
_STANDARD = frozenset(sys.stdlib_module_names) | _FORMER

_IMPORT_LINE = re.compile(
    r"^[ \t]*(?:from[ \t]+([A-Za-z_][\w.]*)[ \t]+import\b|import[ \t]+([A-Za-z_][\w., \t]*))", re.M
)
_IMPORTED = re.compile(r"([A-Za-z_][\w.]*)(?:[ \t]+as[ \t]+\w+)?")
_GUARDS = ("ImportError", "ModuleNotFoundError")

# Options of `pip install` that take a word of their own.
_WITH_VALUE = frozenset(
    [
        "-c",
        "--constraint",
        "-i",
        "--index-url",
        "--extra-index-url",
        "-f",
        "--find-links",
        "-t",
        "--target",
        "--trusted-host",
        "--proxy",
        "--python",
        "--prefix",
        "--root",
        "--upgrade-strategy",
        "--cache-dir",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imports:
    """Dotted modules that a text imports; `optional` are those it can run without."""

    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """What a folder's code needs. `requirements` come from `pip install` lines and from imports.

    `empty` where no file holds any code. `notes` say in sentences what was inferred and left out.
    """

    requirements: tuple[str, ...]
    notes: tuple[str, ...]
    empty: bool


@dataclass(slots=True)
class _Findings:
    required: dict[str, None]
    optional: dict[str, None]
    installed: dict[str, str]
    notes: list[str]
    code: bool = False


def find_imports(source: str | bytes) -> Imports:
    """Return what Python source imports absolutely; of a text that is no Python, what its lines look like."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Imports(required=frozenset(_lines(source)))
    required: set[str] = set()
    optional: set[str] = set()
    for node, guarded in _nodes(tree):
        (optional if guarded else required).update(_modules(node))
    return Imports(required=frozenset(required), optional=frozenset(optional - required))


def _nodes(tree: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """Walk without recursion; True for what stands under a guard that lets its import fail."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, guarded = waiting.pop()
        yield node, guarded
        body = set(map(id, _guarded_body(node)))
        waiting += [(child, guarded or id(child) in body) for child in ast.iter_child_nodes(node)]


def _guarded_body(node: ast.AST) -> list[ast.stmt]:
    if isinstance(node, ast.Try) and any(_catches_import(handler.type) for handler in node.handlers):
        return node.body
    if isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING":
        return node.body
    return []


def _catches_import(caught: ast.expr | None) -> bool:
    names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(_name(name) in _GUARDS for name in names)


def _name(node: ast.expr | None) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level and node.module:
        return [f"{node.module}.{alias.name}" for alias in node.names if alias.name != "*"] or [node.module]
    if isinstance(node, ast.Call) and _name(node.func) in ("import_module", "__import__") and node.args:
        first = node.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            return [first.value] if re.match(r"[A-Za-z_][\w.]*$", first.value) else []
    return []


def _lines(source: str | bytes) -> Iterator[str]:
    text = source.decode(errors="replace") if isinstance(source, bytes) else source
    for found in _IMPORT_LINE.finditer(text):
        if found[1]:
            yield found[1]
        else:
            names = (_IMPORTED.fullmatch(part.strip()) for part in found[2].split(","))
            yield from (name[1] for name in names if name)


def infer(tree: Tree) -> Inferred:
    """Infer requirements from the code below a folder; unreadable files are noted and passed over."""
    findings = _Findings(required={}, optional={}, installed={}, notes=[])
    for path in tree.files:
        if path.name == "setup.py":
            continue  # it imports what builds the project, not what the project runs with
        try:
            _read_code(path, tree, findings)
        except SpecError as error:
            findings.notes.append(f"Passed over: {error.message}.")
    if not tree.whole:
        findings.notes.append(
            f"The folder is large: only its first {len(tree.files)} files of code were read."
        )
    requirements = _named(findings)
    return Inferred(
        requirements=requirements, notes=tuple(dict.fromkeys(findings.notes)), empty=not findings.code
    )


def _read_code(path: Path, tree: Tree, findings: _Findings) -> None:
    if path.suffix == ".py":
        source = read_bytes(path)
        findings.code = findings.code or bool(source.strip())
        _note(find_imports(source), path, tree, findings)
        return
    notebook = read_notebook(path)
    if notebook.language not in ("python", "ipython"):
        findings.notes.append(f"Passed over: {path.name} is a notebook in {notebook.language[:40]}.")
        return
    for cell in notebook.cells:
        findings.code = findings.code or bool(cell.strip())
        _note(cell_imports(cell), path, tree, findings)
        for words in installed_words(cell):
            _note_installed(words, path, findings)


def cell_imports(cell: str) -> Imports:
    """Return what a notebook's code cell imports."""
    if cell.lstrip().startswith("%%") or _has_magics(cell):
        cell = strip_magics(cell)
    return find_imports(cell)


def _has_magics(cell: str) -> bool:
    return bool(re.search(r"(?m)^[ \t]*[%!?]|=\s*[%!]|\?\s*$", cell))


def _note(imports: Imports, path: Path, tree: Tree, findings: _Findings) -> None:
    for modules, kept in ((imports.required, findings.required), (imports.optional, findings.optional)):
        for module in sorted(modules):
            top = module.partition(".")[0]
            if top not in _STANDARD and top != "__future__" and not tree.is_local(top, path):
                kept[module] = None


def _note_installed(words: list[str], path: Path, findings: _Findings) -> None:
    remaining = iter(words)
    for word in remaining:
        if word in _WITH_VALUE:
            next(remaining, None)
        elif word in ("-r", "--requirement", "-e", "--editable"):
            findings.notes.append(
                f"{path.name} installs {word} {next(remaining, '')[:80]}, which is left out."
            )
        elif not word.startswith("-"):
            try:
                parsed = grammar.parse_requirement(word)
            except ValueError:
                findings.notes.append(
                    f"{path.name} installs something that an index does not name; it is left out."
                )
            else:
                findings.installed.setdefault(parsed.name, parsed.canonical)


def _named(findings: _Findings) -> tuple[str, ...]:
    """Name the distributions and say where names differ, were guessed or are unknown."""
    requirements = dict(findings.installed)
    if requirements:
        findings.notes.append(f"Notebooks install {', '.join(requirements.values())}.")
    providers = find_providers(sorted(findings.required))
    for provider in providers:
        if provider.distribution:
            requirements.setdefault(provider.distribution, provider.distribution)
    differing = [f"{p.module} from {p.distribution}" for p in providers if _differs(p.module, p.distribution)]
    guessed = [p.module for p in providers if p.guessed and p.distribution not in findings.installed]
    unknown = [p.module for p in providers if not p.distribution]
    required = {p.module for p in providers}
    optional = sorted({m.partition(".")[0] for m in findings.optional} - required)
    if differing:
        findings.notes.append(f"Taken by a mapping of modules to packages: {', '.join(differing)}.")
    if guessed:
        findings.notes.append(
            f"No mapping knows {', '.join(guessed)}: packages of the same name are assumed."
        )
    if unknown:
        findings.notes.append(
            f"No package is known for {', '.join(unknown)}, imported but not in the folder."
        )
    if optional:
        findings.notes.append(f"Left out, as the code can run without: {', '.join(optional)}.")
    return tuple(requirements[name] for name in sorted(requirements))


def _differs(module: str, distribution: str) -> bool:
    return bool(distribution) and grammar.normalize_name(module) != distribution
