"""`python -m bench`: parse, measure, show."""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bench import chart, reference, rounds, table
from bench.measure import BenchError
from bench.ours import Ours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.buildah import Buildah
    from bench.peer import Peer


def main(words: Sequence[str]) -> int:
    """Measure and print; 1 where something cannot be measured, 130 when interrupted."""
    options = _parser().parse_args(words)
    names = [row.name for row in reference.ROWS]
    asked = options.rows.split(",") if options.rows else names
    if unknown := [name for name in asked if name not in names]:
        print(f"error: no row is called {unknown[0]!r}; there are {', '.join(names)}", file=sys.stderr)
        return 1
    try:
        _measure(options, [row for row in reference.ROWS if row.name in asked])
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _measure(options: argparse.Namespace, rows: Sequence[reference.Row]) -> None:
    with ExitStack() as stack:
        Path(options.work or tempfile.gettempdir()).mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix="bench-", dir=options.work))
        stack.callback(_remove, work, keep=options.keep)
        ours = Ours(work / "ours", command=options.wardian)
        versions = {"ours": ours.version()}
        sides: list[rounds.Side] = [ours]
        if not options.skip_peer:
            peer = _peer(stack, work / "peer", bytecode=options.compile_bytecode)
            versions["peer"] = peer.version()
            sides.insert(0, peer)
        if not options.skip_peer and not options.skip_buildah:
            buildah = _buildah(work / "buildah", bytecode=options.compile_bytecode)
            stack.callback(buildah.close)
            versions["buildah"] = buildah.version()
            sides.insert(1, buildah)
        figures = rounds.take(rows, sides, count=options.runs, work=work, tell=_tell)
    table.show(rows, figures, versions)
    if options.chart:
        chart.draw(options.chart, rows, figures, versions)
    if options.json:
        table.write(options.json, rows, figures, versions)


def _peer(stack: ExitStack, work: Path, *, bytecode: bool) -> Peer:
    from bench.engine import check
    from bench.peer import Peer

    check()
    _tell("starting the peer's engine and making its base image")
    return stack.enter_context(Peer(work, bytecode=bytecode))


def _buildah(work: Path, *, bytecode: bool) -> Buildah:
    from bench.buildah import Buildah, check

    check()
    _tell("making the base image of buildah")
    return Buildah(work, bytecode=bytecode)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="rounds (default 5)")
    names = ", ".join(row.name for row in reference.ROWS)
    parser.add_argument("--rows", metavar="NAME,...", help=f"only these of: {names}")
    parser.add_argument("--skip-peer", action="store_true", help="ours alone; needs no root")
    parser.add_argument("--skip-buildah", action="store_true", help="Docker is the only peer")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the medians as an SVG picture")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to FILE as well")
    parser.add_argument("--keep", action="store_true", help="leave what was made (the README says why)")
    parser.add_argument(
        "--work", metavar="DIR", help="where stores and images go while it runs (default: /tmp)"
    )
    parser.add_argument("--wardian", metavar="PATH", help="the command to measure (default: this Python's)")
    parser.add_argument(
        "--compile-bytecode",
        action="store_true",
        help="have the peer's uv compile byte code (UV_COMPILE_BYTECODE)",
    )
    return parser


def _remove(work: Path, *, keep: bool) -> None:
    from wardian.system.files import remove_tree

    if keep:
        _tell(f"kept: {work}")
    else:
        remove_tree(work)  # a store holds folders whose modes close them


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
