"""Benchmarks: every hot path beside an opponent that does the same work, in one run. No test asserts a time."""

import os

# Before numpy is loaded: a linear algebra library that takes every core would be timed instead of the engine.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
