"""Kinds of value beside text (kinds.py): booleans and integers."""

from __future__ import annotations

from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wardian.project.kinds import Place, Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """True or false."""

    expected: str = "true or false"

    def read(self, value: object, at: Place) -> bool:
        """Return the boolean."""
        if isinstance(value, bool):
            return value
        spelt = {"true": "true", "yes": "true", "false": "false", "no": "false"}
        found = spelt.get(value.lower()) if isinstance(value, str) else None
        raise at.wrong_type(value, self.expected, hint=f"write {found}, without quotes" if found else None)

    def schema(self) -> Schema:
        """A boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """An integer between two bounds, both allowed."""

    expected: str
    least: int
    most: int

    def read(self, value: object, at: Place) -> int:
        """Return the integer."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise at.wrong_type(value, self.expected)
        if not self.least <= value <= self.most:
            shown = f", found {value}" if abs(value) < 1 << 63 else ""
            raise at.error(f"expected {self.expected}{shown}")
        return value

    def schema(self) -> Schema:
        """An integer with its bounds."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}
