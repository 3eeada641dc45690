"""A scrape of a house of a thousand clients, and what the event loop of the service notices of it."""

from __future__ import annotations

from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, amount
from tests.benchmarks.machine import pin, unpin
from tests.observability.scrape_cost import measure_scrapes

CLIENTS = 1_000


def run(plan: Plan) -> list[Measured]:
    """Return the time of a scrape, and how late a timer of a millisecond is meanwhile."""
    unpin()
    cost = measure_scrapes(CLIENTS, plan.rounds + 1)
    pin(0)
    late, quiet = (1e3 * sorted(lag)[int(0.99 * len(lag))] for lag in (cost.lag, cost.quiet_lag))
    note = (
        f"{cost.size / 2**20:.1f} MiB, each of a new house run; of timers of the event loop 99% are less than {late:.1f} ms late "
        f"meanwhile, {quiet:.1f} without scrapes"
    )
    milliseconds = [1e3 * each for each in cost.scrapes[1:]]
    return [amount(f"metrics scrape, {CLIENTS:,} clients, ms", "the clock", Goal(Ratio.AMOUNT, 100.0), milliseconds, note)]
