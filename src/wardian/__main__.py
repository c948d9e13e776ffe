"""`python -m wardian`: the same as the command `wardian`."""

from __future__ import annotations

import sys

from wardian.cli import main

if __name__ == "__main__":
    sys.exit(main())
