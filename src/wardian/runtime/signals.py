"""Which signals a container's program gets from those that reach this process. It sends none.

On the start-up path of every run.
"""

from __future__ import annotations

import contextlib
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Mask = set[signal.Signals | int]

_FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCONT,
    signal.SIGALRM,
)


@contextlib.contextmanager
def watching() -> Iterator[tuple[Sequence[signal.Signals], Mask]]:
    """SIGCHLD and the signals to be passed on, which are blocked meanwhile; and the mask from before."""
    watched = [signal.SIGCHLD, *_forwarded()]
    # Where it is ignored, ended children say nothing and leave no status (waitpid(2)).
    ignores = signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    if ignores:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    try:
        yield watched, mask
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if ignores:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def is_shielded() -> bool:
    """Whether a signal of the terminal's is ignored: for `nohup`, or in the background of a script.

    The terminal sends it to the container as well, and the runtime sets every action back: such a container
    gets a session of its own. There it has no controlling terminal, and Ctrl-Z does not stop the program.
    """
    return any(number not in _forwarded() for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT))


def act(action: signal.Handlers, mask: Mask) -> None:
    """Set the action of the forwarded signals, and only then let them in."""
    for number in _forwarded():
        signal.signal(number, action)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _forwarded() -> list[signal.Signals]:
    """All but those that were ignored from the start, as `nohup` wants it."""
    return [number for number in _FORWARDED if signal.getsignal(number) is not signal.SIG_IGN]
