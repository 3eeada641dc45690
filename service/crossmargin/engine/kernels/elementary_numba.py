"""Exponential and normal tail as polynomials without a branch, so that a loop over them works on as many numbers as fit a register."""

from __future__ import annotations

import math
from typing import Final

from crossmargin.engine.kernels.compiled import fused, part_of_a_kernel, power_of_two

_SHIFT: Final = 1.5 * 2.0**52
"""A sum with it is rounded to a whole number, which is in the last bits then."""
_PER_LOG_TWO: Final = 1.0 / math.log(2.0)
_LOG_TWO_HIGH: Final = 6.93147180369123816490e-01
"""So few bits that a multiple of it is exact. With what is missing:"""
_LOG_TWO_LOW: Final = 1.90821492927058770002e-10
_LEAST: Final = -708.0
_MOST: Final = 709.0

_E2: Final = 0.5000000000000019
_E3: Final = 0.16666666666666702
_E4: Final = 0.04166666666648808
_E5: Final = 0.008333333333309526
_E6: Final = 0.0013888888952318045
_E7: Final = 0.00019841269909219843
_E8: Final = 2.480148547921643e-05
_E9: Final = 2.755722495611072e-06
_E10: Final = 2.7632640675430235e-07
_E11: Final = 2.5114870219497476e-08
"""exp(r) on |r| <= log(2) / 2, Chebyshev interpolation: off by 2e-17, less than rounding."""

_M0: Final = 1.8932190633084853
_M1: Final = -1.5237709108199793
_M2: Final = 0.9704095548675735
_M3: Final = -0.46754096299875797
_M4: Final = 0.15139176231306697
_M5: Final = -0.018900450848876333
_M6: Final = -0.008722295283093033
_M7: Final = 0.004087855502306301
_M8: Final = 0.00033424466029380204
_M9: Final = -0.0005792679242953252
_M10: Final = -4.783186792949699e-06
_M11: Final = 8.808928933291078e-05
_M12: Final = 1.7945588633414029e-06
_M13: Final = -1.4824343928418972e-05
_M14: Final = -1.569829284452015e-06
_M15: Final = 2.533518188645121e-06
_M16: Final = 6.605679923803988e-07
_M17: Final = -3.603215377504763e-07
_M18: Final = -1.8576185004810102e-07
_M19: Final = 1.9365217951418245e-08
_M20: Final = 2.846366335465664e-08
_M21: Final = 4.999246432035987e-09
"""(x + 4) R(x) by t = (x - 4) / (x + 4), R(x) = N(-x) / n(x), for 0 <= x <= 40, Chebyshev interpolation: off by 3e-16."""

MILLS_CENTRE: Final = 4.0
MILLS_MOST: Final = 40.0
"""The density at it is 0 in any double."""


@part_of_a_kernel
def exponential(x: float) -> float:
    """Return exp(x) to the last bit or two; exactly 0 below -708, infinite above 709, NaN of NaN."""
    shifted = x * _PER_LOG_TWO + _SHIFT
    whole = shifted - _SHIFT
    r = fused(-whole, _LOG_TWO_LOW, fused(-whole, _LOG_TWO_HIGH, x))
    r2 = r * r
    r4 = r2 * r2
    low = fused(fused(_E3, r, _E2), r2, 1.0 + r)
    middle = fused(fused(_E7, r, _E6), r2, fused(_E5, r, _E4))
    high = fused(fused(_E11, r, _E10), r2, fused(_E9, r, _E8))
    value = fused(fused(high, r4, middle), r4, low) * power_of_two(shifted)
    value = 0.0 if x < _LEAST else value
    return math.inf if x > _MOST else value


@part_of_a_kernel
def mills(q: float) -> float:
    """Return the Mills ratio N(-x) / n(x) of 0 <= x <= 40, given q = 1 / (x + 4)."""
    t = fused(-2.0 * MILLS_CENTRE, q, 1.0)
    t2 = t * t
    t4 = t2 * t2
    t8 = t4 * t4
    a = fused(fused(_M3, t, _M2), t2, fused(_M1, t, _M0))
    b = fused(fused(_M7, t, _M6), t2, fused(_M5, t, _M4))
    c = fused(fused(_M11, t, _M10), t2, fused(_M9, t, _M8))
    d = fused(fused(_M15, t, _M14), t2, fused(_M13, t, _M12))
    e = fused(fused(_M19, t, _M18), t2, fused(_M17, t, _M16))
    f = fused(_M21, t, _M20)
    upper = fused(fused(f, t4, e), t8, fused(d, t4, c))
    ratio: float = fused(upper, t8, fused(b, t4, a)) * q
    return ratio
