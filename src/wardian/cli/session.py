"""What one invocation works with: the project's folder, the environment, the console. Opens the API."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wardian import Project
    from wardian.cli.console import Console
    from wardian.image.compression import Compression
    from wardian.image.library import Library, StoredImage
    from wardian.image.platform import Platform


class Session:
    """The global options, and what hangs on them. Everything costly is made when first asked for."""

    __slots__ = ("_console", "environment", "folder", "quiet", "verbose")

    def __init__(self, *, folder: str, environment: Mapping[str, str], quiet: bool, verbose: bool) -> None:
        self.folder = folder
        self.environment = environment
        self.quiet = quiet
        self.verbose = verbose
        self._console: Console | None = None

    @property
    def console(self) -> Console:
        """Where the work's progress is shown: standard error."""
        if self._console is None:
            from wardian.cli.console import Console

            self._console = Console(sys.stderr, self.environment, quiet=self.quiet, verbose=self.verbose)
        return self._console

    def project(self, *, offline: bool = False, locked: bool = False) -> Project:
        """Open the project in `folder`; raises SpecError when it cannot be read."""
        from wardian import Project

        return Project.open(
            self.folder,
            environment=self.environment,
            progress=self.console,
            offline=offline,
            locked=locked,
        )

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
        from wardian.image.platform import Platform

        wanted = Platform.parse(platform) if platform else None
        if name is None:
            self.check_platform(wanted)
            return self.project(offline=offline, locked=locked).assemble(compression=compression)
        from wardian.api.shipping import complete

        return complete(self.library(), name, wanted)

    def check_platform(self, wanted: Platform | None) -> None:
        """Raise ImageError where the project's own image is wanted for another machine's platform."""
        from wardian.errors import ImageError
        from wardian.image.platform import Platform

        if wanted not in (None, Platform.host()):
            raise ImageError(
                f"the project's image cannot be built for {wanted} here: this machine is {Platform.host()}",
                hint="build it on such a machine, or name an image of the store with --image",
            )

    def tell_of_output(self, path: str) -> None:
        """Say that what was just written will be part of the next image, if it will."""
        folder = os.path.realpath(self.folder)
        if os.path.realpath(path).startswith(f"{folder}{os.sep}"):
            name = os.path.relpath(os.path.realpath(path), folder)
            self.console.message(
                f"{name} lies in the project: the next image has it too, unless .dockerignore names it"
            )

    def library(self) -> Library:
        """The images of the store; raises StoreError."""
        from wardian.image.library import Library
        from wardian.store.store import Store

        return Library(Store.open(self.home()))

    def path(self, text: str) -> str:
        """A path that the user wrote, absolute; `-C` has made it relative to the project's folder."""
        return os.path.abspath(os.path.join(self.folder, text))

    def say(self, text: str) -> None:
        """Print one line of result, unless it is not wanted."""
        if not self.quiet:
            from wardian.cli.render import plain

            print(plain(text))

    def print_json(self, value: object) -> None:
        """Print `value` as the one JSON object that `--json` promises."""
        from wardian.cli.render import json_text

        print(json_text(value))
