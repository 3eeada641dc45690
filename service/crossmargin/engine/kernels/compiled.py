"""How kernels are compiled, and the two operations of a processor that numba has no name for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import llvmlite.ir
import numba
from numba.core import types
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])

_EXACT: Final[Mapping[str, Any]] = {"nogil": True, "error_model": "numpy"}
"""Without the lock, so that the event loop goes on. Without fastmath: every operation rounds as IEEE 754 says, in the order that is
written, so that a value has the same bits wherever it stands in an array, and on every machine."""


def compiled(signature: str) -> Callable[[Function], Function]:
    """Return a decorator that compiles for one signature at once.

    Nothing is kept for the next process. Numba knows what it kept by the time and size of the one file that a kernel is written in: a
    change of what the kernel calls goes unseen, and so does one in a wheel, whose files all have one time. A second at start is less
    than a margin by the kernels of another release.
    """
    decorator: Callable[[Function], Function] = numba.njit(signature, **_EXACT)
    return decorator


def part_of_a_kernel(function: Function) -> Function:
    """Return a function that is compiled into the kernels that use it."""
    part: Function = numba.njit(**_EXACT)(function)
    return part


@intrinsic
def fused(typing_context, a, b, c):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG001 - numba's own types
    """Return a b + c, rounded once."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, ARG001
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), generate


@intrinsic
def power_of_two(typing_context, shifted):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG001
    """Return 2**n of the number n + 1.5 * 2**52, whose last bits are n; n from -1022 to 1023."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, ARG001
        word, double = llvmlite.ir.IntType(64), llvmlite.ir.DoubleType()
        last_bits = builder.bitcast(arguments[0], word)
        exponent = builder.shl(builder.add(last_bits, word(1023)), word(52))
        return builder.bitcast(exponent, double)

    return types.float64(types.float64), generate
