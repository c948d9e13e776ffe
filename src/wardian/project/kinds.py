"""The kinds of value that a spec's keys hold: each reads, explains and describes itself (JSON Schema).

The spec's dataclasses (spec.py) declare a kind for each key; validation (read.py), the schema and the
key table of the documents (schema.py) all walk that one declaration.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields

from wardian.errors import SpecError
from wardian.project.keys import Keys, key_text, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol, TypeAlias

    from wardian.project.document import Document

    Schema: TypeAlias = dict[str, object]

    class Kind(Protocol):
        """What may stand at a key."""

        @property
        def expected(self) -> str:
            """What is expected, as a noun phrase: `a string`."""

        def read(self, value: object, at: Place) -> Any:
            """Turn a TOML value into the model's; raises SpecError at the place."""

        def schema(self) -> Schema:
            """Describe the value in JSON Schema 2020-12."""
else:
    # Annotations are never evaluated; the names are here for the modules that import them.
    Schema = Kind = object


def describe(value: object) -> str:
    """Say what a TOML value is, shortly; a huge integer has no decimal text in Python, so none is shown."""
    if isinstance(value, str):
        return f"the string {quoted(value)}"
    kinds: list[tuple[type, str]] = [(bool, "a boolean"), (int, "an integer"), (float, "a float")]
    kinds += [(list, "an array"), (dict, "a table")]
    return next((text for kind, text in kinds if isinstance(value, kind)), "a date or time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a document a value stands; `root` is the model of the whole, to say where a key belongs."""

    document: Document
    root: type[Any]
    keys: Keys = ()

    def __truediv__(self, key: str | int) -> Place:
        return Place(document=self.document, root=self.root, keys=(*self.keys, key))

    def error(self, problem: str, *, hint: str | None = None) -> SpecError:
        """Make the error that names this place."""
        return self.document.error(self.keys, problem, hint=hint)

    def wrong_type(self, value: object, expected: str, *, hint: str | None = None) -> SpecError:
        """Make the error of a value that is not of the expected type."""
        return self.error(f"expected {expected}, found {describe(value)}", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string that `check` accepts; `check` raises ValueError with a phrase that follows the string."""

    expected: str
    check: Callable[[str], Any]
    pattern: str | None = None
    choices: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()

    def read(self, value: object, at: Place) -> Any:
        """Return what `check` makes of the string."""
        example = f" such as {quoted(self.examples[0])}" if self.examples else ""
        if not isinstance(value, str):
            quotable = isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 1 << 63)
            hint = f"write {quoted(str(value).lower())}" if quotable else None
            raise at.wrong_type(value, self.expected + example, hint=hint)
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", value):
            raise at.error(f"expected {self.expected}, found a control character in {quoted(value)}")
        try:
            return self.check(value)
        except ValueError as error:
            hint = f"write {self.expected}{example}"
            raise at.error(f"{quoted(value)} {error}", hint=self._near(value) or hint) from error
        except SpecError as error:
            raise at.error(error.message, hint=error.hint) from error

    def _near(self, value: str) -> str | None:
        found = nearest(value, self.choices)
        return f"write {quoted(found)}" if found else None

    def schema(self) -> Schema:
        """A string with its pattern or its choices."""
        schema: Schema = {"type": "string"}
        if self.choices:
            schema["enum"] = list(self.choices)
        if self.pattern:
            schema["pattern"] = self.pattern
        if self.examples:
            schema["examples"] = list(self.examples)
        return schema


@dataclass(frozen=True, slots=True, kw_only=True)
class List:
    """An array of values of one kind."""

    item: Kind
    expected: str
    filled: bool = False

    def read(self, value: object, at: Place) -> tuple[Any, ...]:
        """Return the items in their order."""
        if not isinstance(value, list):
            hint = f"write [{quoted(value)}]" if isinstance(value, str) else None
            raise at.wrong_type(value, self.expected, hint=hint)
        if self.filled and not value:
            raise at.error(f"expected {self.expected}, found an empty array")
        return tuple(self.item.read(item, at / index) for index, item in enumerate(value))

    def schema(self) -> Schema:
        """An array of the item's schema."""
        least: Schema = {"minItems": 1} if self.filled else {}
        return {"type": "array", "items": self.item.schema(), **least}


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """A table whose keys the user names; `build` makes the entry of a name and a value."""

    name: Text
    value: Kind
    expected: str
    build: Callable[[dict[Any, Any]], Any] = dict

    def read(self, value: object, at: Place) -> Any:
        """Return what `build` makes of the entries, in their order."""
        if not isinstance(value, dict):
            raise at.wrong_type(value, self.expected)
        entries: dict[Any, Any] = {}
        for key, item in value.items():
            name = self.name.read(key, at / key)
            if name in entries:
                raise (at / key).error(f"{quoted(key)} stands here twice, as {quoted(name)}")
            if isinstance(item, dict) and isinstance(self.value, Text):
                hint = f"write the whole name in quotes: {quoted(_dotted(key, item))}"
                raise (at / key).wrong_type(item, self.value.expected, hint=hint)
            entries[name] = self.value.read(item, at / key)
        return self.build(entries)

    def schema(self) -> Schema:
        """An object with named entries."""
        names: Schema = {"propertyNames": {"pattern": self.name.pattern}} if self.name.pattern else {}
        return {"type": "object", **names, "additionalProperties": self.value.schema()}


def _dotted(name: str, value: object) -> str:
    """The name as it was meant whose dots made TOML's tables of it; of several, the first."""
    while isinstance(value, dict) and value:
        key, value = next(iter(value.items()))
        name = f"{name}.{key}"
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table whose keys are the declared fields of a dataclass."""

    model: type[Any]
    expected: str = "a table"

    def read(self, value: object, at: Place) -> Any:
        """Return the dataclass; raises SpecError for an unknown or a missing key."""
        if not isinstance(value, dict):
            raise at.wrong_type(value, self.expected)
        keys = declared_keys(self.model)
        for name in value:
            if name not in keys:
                raise (at / name).error(f"unknown key; expected {', '.join(keys)}", hint=self._hint(name, at))
        for name, key in keys.items():
            if key.required and name not in value:
                raise at.error(f"the key {name} is missing; expected {key.kind.expected}")
        given = {
            name.replace("-", "_"): keys[name].kind.read(item, at / name) for name, item in value.items()
        }
        return self.model(**given)

    def _hint(self, name: str, at: Place) -> str:
        if found := nearest(name, declared_keys(self.model)):
            return f"write {found}"
        return misplaced(name, at) or "remove it"

    def schema(self) -> Schema:
        """An object with exactly the declared keys."""
        properties: dict[str, object] = {}
        for name, key in declared_keys(self.model).items():
            properties[name] = {"description": key.says, **key.kind.schema()}
        required = [name for name, key in declared_keys(self.model).items() if key.required]
        needs: Schema = {"required": required} if required else {}
        return {"type": "object", "additionalProperties": False, "properties": properties, **needs}


@dataclass(frozen=True, slots=True, kw_only=True)
class Either:
    """One of several kinds, told apart by the value's TOML type; `build` makes the model's value."""

    kinds: tuple[tuple[type, Kind], ...]
    expected: str
    build: Callable[[Any], Any]

    def read(self, value: object, at: Place) -> Any:
        """Return what `build` makes of the value that the fitting kind read."""
        for type_, kind in self.kinds:
            if isinstance(value, type_):
                return self.build(kind.read(value, at))
        raise at.wrong_type(value, self.expected)

    def schema(self) -> Schema:
        """Any of the kinds."""
        return {"anyOf": [kind.schema() for _, kind in self.kinds]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """The declaration of one key: its kind, what it says to a reader, and an example in TOML."""

    kind: Kind
    says: str
    example: str
    default: str = ""
    required: bool = False


def declare(key: Key, **options: Any) -> Any:
    """Declare a dataclass field as a key of the spec; `options` are those of `dataclasses.field`."""
    return field(metadata={"key": key}, **options)


def declared_keys(model: type[Any]) -> dict[str, Key]:
    """Return the keys of a declared dataclass by their TOML names, in order."""
    return {
        item.name.replace("_", "-"): item.metadata["key"] for item in fields(model) if "key" in item.metadata
    }


def nearest(name: str, names: Mapping[str, object] | tuple[str, ...]) -> str | None:
    """Return the name that a misspelt one most likely means."""
    import difflib

    folded = {known.lower(): known for known in reversed(list(names))}
    found = difflib.get_close_matches(name[:64].lower(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def misplaced(name: str, at: Place) -> str | None:
    """Say where a key belongs that is right, or nearly, in another table."""
    top = declared_keys(at.root)
    if at.keys and name in top:
        return f"{name} is a key of the top level: write it above the first [table]"
    inner: dict[str, list[str]] = {}
    for table, key in top.items():
        for known in _keys_inside(key):
            inner.setdefault(known, []).append(f"[{key_text((*at.document.prefix, table))}]")
    found = name if name in inner else nearest(name, inner) if not at.keys else None
    return f"write {found} in the table {' or '.join(inner[found])}" if found else None


def _keys_inside(key: Key) -> dict[str, Key]:
    return declared_keys(key.kind.model) if isinstance(key.kind, Table) else {}
