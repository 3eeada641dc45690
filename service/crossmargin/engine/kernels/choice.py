"""Which kernels an engine computes with. Numba is loaded when it is chosen, and not before."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.util import find_spec
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from crossmargin.engine import ENGINE_VERSION
from crossmargin.engine.axes import ByInstrument, ByInstrumentState, ByNodeState, ByState, ByTime, ByTimeState, Index
from crossmargin.engine.kernels import discount_factors, option_prices, sparse_product


class Kernels(Enum):
    """The two ways to compute the same. They differ by rounding, so that each has a name in the stamp of a result."""

    NUMPY = "numpy"
    NUMBA = "numba"

    @property
    def engine_version(self) -> str:
        """What a stamp calls an engine with these kernels."""
        return ENGINE_VERSION if self is Kernels.NUMPY else f"{ENGINE_VERSION}+{self.value}"

    @property
    def is_installed(self) -> bool:
        """Whether what they need is there; loads nothing."""
        return self is Kernels.NUMPY or find_spec(self.value) is not None


KERNELS_OF_ENGINE: Final = {kernels.engine_version: kernels for kernels in Kernels}
"""By what stamps of this release may say."""


class OptionPrices(Protocol):
    """See `option_prices`."""

    def __call__(
        self,
        *,
        forward: ByState,
        unit: ByState,
        ratio: ByState,
        strike: ByInstrument,
        sign: ByInstrument,
        own: ByInstrument,
        mark: ByInstrument,
    ) -> ByInstrumentState:
        """Return [I, M] prices."""


class DiscountFactors(Protocol):
    """See `discount_factors`."""

    def __call__(self, *, years: ByTime, levels: ByTime, moves: ByNodeState, lower: Index, upper: Index, share: ByTime) -> ByTimeState:
        """Return [T, M] factors."""


class SparseProduct(Protocol):
    """See `sparse_product`."""

    def __call__(self, *, starts: Index, columns: Index, values: NDArray[np.float64], dense: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return rows x states."""


@dataclass(frozen=True, slots=True)
class KernelFunctions:
    """The loops themselves, by one name each."""

    option_prices: OptionPrices
    discount_factors: DiscountFactors
    sparse_product: SparseProduct


@cache
def functions_of(kernels: Kernels) -> KernelFunctions:
    """Return the functions; of numba they are compiled by the first call, in a second or a few.

    Raises:
        ImportError: Numba is not installed.
    """
    if kernels is Kernels.NUMPY:
        return KernelFunctions(option_prices.option_prices, discount_factors.discount_factors, sparse_product.sparse_product)
    # An extra: most installations do without it, and nobody pays for what was not asked for.
    from crossmargin.engine.kernels import discount_factors_numba, option_prices_numba, sparse_product_numba  # noqa: PLC0415

    return KernelFunctions(option_prices_numba.option_prices, discount_factors_numba.discount_factors, sparse_product_numba.sparse_product)
