"""Linear algebra on one thread: what is cut among several is added up in another order, and rounds to other bits."""

from __future__ import annotations

import scipy.linalg  # noqa: F401 - brings its own library, which has to be loaded before it can be told
from threadpoolctl import threadpool_limits


def keep_linear_algebra_on_one_thread() -> None:
    """Make every BLAS of this process use one thread from now on.

    The same inputs give the same bits then, on any machine and under any setting of the environment. Matrices here are small, and whole
    accounts run beside each other on the threads of the compute pool, so that nothing waits for it.
    """
    threadpool_limits(limits=1, user_api="blas")
