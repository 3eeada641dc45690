"""Portfolio margin on numpy arrays: pure functions, arrays in, arrays out.

A book is a sparse vector, a market is a matrix, margin is a convex function of their product. Everything linear is added up
exactly; everything non-linear is computed once at the end.
"""

from typing import Final

from crossmargin.engine.one_thread import keep_linear_algebra_on_one_thread

keep_linear_algebra_on_one_thread()

ENGINE_VERSION: Final = "14"
"""Changes whenever the same inputs would give another number; part of every result's stamp."""
