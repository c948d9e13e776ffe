"""What one invocation works with: the project's folder, the environment, the console. Opens the API."""

from __future__ import annotations

import contextlib
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from wardian import Compression, ImageStore, Project, StoredImage
    from wardian.cli.console import Console


class Session:
    """The global options, and what hangs on them. Everything costly is made when first asked for."""

    __slots__ = ("_console", "_project", "environment", "folder", "quiet", "verbose")

    def __init__(self, *, folder: str, environment: Mapping[str, str], quiet: bool, verbose: bool) -> None:
        self.folder = folder
        self.environment = environment
        self.quiet = quiet
        self.verbose = verbose
        self._console: Console | None = None
        self._project: Project | None = None

    @property
    def console(self) -> Console:
        """Where the work's progress is shown: standard error."""
        if self._console is None:
            from wardian.cli.console import Console

            self._console = Console(sys.stderr, self.environment, quiet=self.quiet, verbose=self.verbose)
        return self._console

    def project(self, *, offline: bool = False, locked: bool = False, here: bool = False) -> Project:
        """Open the project of `folder`, with `here` never one above; raises SpecError."""
        from wardian import Project

        self._project = Project.open(
            self.folder,
            environment=self.environment,
            progress=self.console,
            offline=offline,
            locked=locked,
            here=here,
        )
        return self._project

    def home(self) -> Path:
        """The folder that holds everything wardian keeps."""
        from pathlib import Path

        from wardian.system.variables import home

        return Path(home(self.environment))

    def image(
        self,
        name: str | None,
        *,
        compression: Compression = "gzip",
        platform: str | None = None,
        offline: bool = False,
        locked: bool = False,
    ) -> StoredImage:
        """The image `name` of the store, or the project's own, which is built and packed first."""
        if name is not None:
            return self.store().find(name, platform=platform)
        self.check_platform(platform)
        return self.project(offline=offline, locked=locked).assemble(compression=compression)

    def check_platform(self, platform: str | None) -> None:
        """Raise ImageError where the project's own image is wanted for another machine's platform."""
        from wardian import Platform
        from wardian.errors import ImageError

        wanted = Platform.parse(platform) if platform else None
        if wanted not in (None, Platform.host()):
            raise ImageError(
                f"the project's image cannot be built for {wanted} here: this machine is {Platform.host()}",
                hint="build it on such a machine, or name an image of the store with --image",
            )

    def tell_of_output(self, path: str) -> None:
        """Say that what was just written will be part of the next image, if it will."""
        place = os.path.realpath(path)
        for folder in self._projects(os.path.dirname(place)):
            if place.startswith(f"{folder}{os.sep}"):
                name = os.path.relpath(place, folder)
                self.console.message(
                    f"{name} lies in the project: the next image has it too, unless .dockerignore names it"
                )
                return

    def _projects(self, folder: str) -> Iterator[str]:
        """The project that was opened, and the one whose spec is written in `folder` or above."""
        from wardian.api.folders import find_written
        from wardian.errors import SpecError

        if self._project is not None:
            yield str(self._project.folder)
        with contextlib.suppress(SpecError):  # another user's
            if written := find_written(folder):
                yield written

    def store(self) -> ImageStore:
        """The images of the store; raises StoreError."""
        from wardian import ImageStore

        return ImageStore.open(environment=self.environment, progress=self.console)

    def path(self, text: str) -> str:
        """A path that the user wrote, absolute; `-C` has made it relative to the project's folder.

        Raises HostError where the current folder has been removed.
        """
        try:
            return os.path.abspath(os.path.join(self.folder, text))
        except FileNotFoundError as error:
            from wardian.api.folders import current_folder_is_gone

            raise current_folder_is_gone() from error

    def say(self, text: str) -> None:
        """Print one line of result, unless it is not wanted."""
        if not self.quiet:
            from wardian.cli.render import plain

            print(plain(text))

    def print_json(self, value: object) -> None:
        """Print `value` as the one JSON object that `--json` promises."""
        from wardian.cli.render import json_text

        print(json_text(value))
