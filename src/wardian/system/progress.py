"""How long work tells of itself. What is drawn, and where, is the command line's affair."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Protocol
else:
    Protocol = object  # typing takes 3 ms of the start-up path


class Step(Protocol):
    """One piece of work under way; leaving its `with` block ends it."""

    def advance(self, amount: int = 1) -> None:
        """Count `amount` more units as done."""

    def total(self, amount: int) -> None:
        """Set how many units there are in all."""

    def note(self, text: str) -> None:
        """Say what is being worked on at this moment."""

    def __enter__(self) -> Step: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Progress(Protocol):
    """Where work reports. Implementations are safe to call from several threads."""

    def step(self, title: str, *, total: int | None = None, unit: str = "", passing: bool = False) -> Step:
        """Begin a step; `unit` is `"B"` for bytes, else a plural noun such as `"packages"`.

        A `passing` one is a part of another: it is shown while it is under way, and leaves no line.
        """

    def message(self, text: str) -> None:
        """Say one lasting line."""


class _SilentStep:
    def advance(self, amount: int = 1) -> None:
        pass

    def total(self, amount: int) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def __enter__(self) -> _SilentStep:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Silent:
    """Reports nowhere, so that no caller asks whether anyone listens."""

    def step(
        self,
        title: str,  # noqa: ARG002
        *,
        total: int | None = None,  # noqa: ARG002
        unit: str = "",  # noqa: ARG002
        passing: bool = False,  # noqa: ARG002
    ) -> Step:
        """Begin a step that nobody sees."""
        return _SilentStep()

    def message(self, text: str) -> None:
        """Say nothing."""
