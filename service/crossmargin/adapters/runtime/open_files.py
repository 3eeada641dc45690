"""How many files and connections this process may hold open."""

from __future__ import annotations

import contextlib
import resource


def allow_open_files() -> int:
    """Ask for as many open files as the system lets us have, and return how many that is.

    A shell allows 1,024 unless asked for more, for the sake of programs that cannot count further. Every connection is a file: at that
    limit the service takes no new callers, and cannot connect to its database again either.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Where "as many as you like" is not a number that can be asked for, what the shell set stays.
    with contextlib.suppress(OSError, ValueError):
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
