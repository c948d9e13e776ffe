"""Options where they would do nothing: refused, since whoever writes one expects something of it."""

from __future__ import annotations

from wardian.cli.parser import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

_PROJECTS = {
    "compression": "an image of the store stays as it is packed",
    "locked": "an image has no lock",
}


def refuse_beside_image(arguments: argparse.Namespace) -> None:
    """Raise UsageError for an option of the project's where --image names another image."""
    if arguments.image is None:
        return
    for name, reason in _PROJECTS.items():
        if getattr(arguments, name, None):
            raise UsageError(
                f"--{name} is for the project alone: {reason}", hint=f"leave --{name} out, or --image"
            )
