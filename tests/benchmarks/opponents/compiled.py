"""The C opponents, compiled with the system compiler for the machine at hand."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

FLAGS: Final = ("-O3", "-march=native", "-ffast-math", "-mprefer-vector-width=512", "-shared", "-fPIC")
"""-ffast-math lets the compiler take the vector exp and erfc of libmvec: the opponent may be as fast as C gets."""
SOURCES: Final = ("kernels.c", "house_tick.c")


@cache
def kernels() -> ctypes.CDLL:
    """Return the compiled library.

    Raises:
        RuntimeError: Where there is no C compiler.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise RuntimeError("no C compiler on this machine: install one, as `apt-get install gcc`, or leave out what runs against C")
    target = Path(tempfile.mkdtemp(prefix="crossmargin-bench-")) / "kernels.so"
    sources = [str(Path(__file__).with_name(name)) for name in SOURCES]
    subprocess.run([compiler, *FLAGS, *sources, "-o", str(target), "-lmvec", "-lm"], check=True)
    return ctypes.CDLL(str(target))


def call(name: str, *arguments: int | NDArray[np.generic]) -> None:
    """Call a kernel: whole numbers as they are, arrays by their address."""
    function = getattr(kernels(), name)
    function.restype = None
    function(*(ctypes.c_int64(each) if isinstance(each, int) else each.ctypes.data_as(ctypes.c_void_p) for each in arguments))
