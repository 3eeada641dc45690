"""What few installations have: compiled kernels, a cluster for runs over the house, and traces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING

from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.adapters.runtime.cores import cores_at_hand, default_process_count
from crossmargin.adapters.runtime.process_pool import ProcessComputePool
from crossmargin.app.start_error import StartError
from crossmargin.config import Settings
from crossmargin.engine.kernels.choice import Kernels, functions_of
from crossmargin.usecases.ports.runtime import ComputePool

if TYPE_CHECKING:
    from crossmargin.adapters.tracing.tracing import Tracing


def chosen_kernels(settings: Settings) -> Kernels:
    """Return the kernels that the engine is to compute with, compiled.

    Raises:
        StartError: Numba is not installed, or not usable as it is.
    """
    kernels = Kernels(settings.kernels)
    if not kernels.is_installed:
        words = "needs a package that is not installed; install it with: pip install 'crossmargin[kernels]'"
        raise StartError(f"kernels {kernels.value} {words}; or leave the setting at numpy")
    try:
        functions_of(kernels)
    except ImportError as error:
        raise StartError(f"kernels {kernels.value} cannot be loaded: {error}; install them anew, or leave the setting at numpy") from error
    return kernels


@asynccontextmanager
async def compute_pool(settings: Settings) -> AsyncIterator[ComputePool]:
    """Yield threads of this process; processes beside it, and before them a cluster if there is one, get the blocks of runs over the house.

    Raises:
        StartError: Dask is not installed, or its scheduler cannot be reached.
    """
    threads = ThreadComputePool(settings.compute_threads)
    count = default_process_count(cores_at_hand()) if settings.house_processes is None else settings.house_processes
    processes = ProcessComputePool(threads, count)
    try:
        here: ComputePool = processes if count else threads
        if not settings.dask_scheduler:
            yield here
            return
        try:
            # An extra: most installations do without it.
            from distributed import Client  # noqa: PLC0415

            from crossmargin.adapters.runtime.dask_pool import DaskComputePool  # noqa: PLC0415
        except ImportError as error:
            words = "a cluster needs Dask, which is not installed; install it with: pip install 'crossmargin[distributed]'"
            raise StartError(words) from error
        try:
            client = await Client(settings.dask_scheduler, asynchronous=True)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise StartError(
                f"Dask scheduler {settings.dask_scheduler} cannot be reached; start it, or leave dask_scheduler empty"
            ) from error
        async with client:
            yield DaskComputePool(here, client)
    finally:
        processes.close()
        threads.close()


def tracing_if_asked(settings: Settings) -> Tracing | None:
    """Return what makes spans, or None when nobody asked for them.

    Raises:
        StartError: OpenTelemetry is not installed.
    """
    if not settings.tracing:
        return None
    try:
        # An extra: most installations do without it, and nobody pays for what was not asked for.
        from crossmargin.adapters.tracing.tracing import Tracing  # noqa: PLC0415
    except ImportError as error:
        raise StartError("traces need OpenTelemetry, which is not installed; install it with: pip install 'crossmargin[otel]'") from error
    return Tracing.by_otlp(version_of("crossmargin"))
