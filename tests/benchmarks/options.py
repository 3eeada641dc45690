"""Option revaluation: 5,000 options in 500 scenarios, by either kernels, beside C and beside QuantLib driven from Python."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import QuantLib as ql  # noqa: N813 - the name that everybody knows it by
from numpy.typing import NDArray

from crossmargin.engine.kernels.choice import Kernels
from crossmargin.engine.revaluation.option_chain import Strikes, Volatility, chain_prices
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, compare, say, seconds, summary
from tests.benchmarks.machine import pin, unpin
from tests.benchmarks.opponents.compiled import call

CHAINS, STRIKES, STATES = 50, 100, 501
"""States are 500 scenarios and the base."""
QUANTLIB_OPTIONS, QUANTLIB_STATES = 100, 25
"""Of the same chains: more would take minutes."""


@dataclass(frozen=True)
class Chain:
    """One expiry of one underlying, with everything that its scenarios move."""

    strikes: Strikes
    forward: NDArray[np.float64]
    unit: NDArray[np.float64]
    volatility: Volatility
    years: float

    def ours(self, kernels: Kernels = Kernels.NUMPY) -> NDArray[np.float64]:
        """Return [I, M] prices by the engine."""
        return chain_prices(self.strikes, forward=self.forward, unit=self.unit, volatility=self.volatility, kernels=kernels)[0]

    def in_c(self) -> NDArray[np.float64]:
        """Return the same in C."""
        strike, sign, own = self.strikes.strike, self.strikes.sign, np.full(len(self.strikes.strike), self.volatility.total)
        price = np.empty((len(strike), len(self.forward)))
        call("black76", *price.shape, self.forward, self.unit, strike, own, self.volatility.ratio, sign, price)
        return price


def run(plan: Plan) -> list[Measured]:
    """Return the rows against C and QuantLib."""
    chains = [_chain(np.random.default_rng(seed)) for seed in range(CHAINS)]
    for chain in chains[:3]:
        for kernels in Kernels:
            np.testing.assert_allclose(chain.in_c(), chain.ours(kernels), rtol=1e-9, atol=1e-9)
    rows = [_against_c(chains, kernels, plan) for kernels in Kernels]
    rows += [_against_quantlib(chains[0], kernels, plan) for kernels in Kernels]
    return [*rows, _on_two_threads(chains, plan)]


def _against_c(chains: list[Chain], kernels: Kernels, plan: Plan) -> Measured:
    return compare(
        f"option revaluation 5,000 x 500, {kernels.value}",
        "C with libmvec, one thread",
        Goal(Ratio.SPEED, 0.5),
        ours=lambda: [chain.ours(kernels) for chain in chains],
        theirs=lambda: [chain.in_c() for chain in chains],
        plan=plan,
    )


def _on_two_threads(chains: list[Chain], plan: Plan) -> Measured:
    # Threads stay on the cores that they were started on.
    unpin()
    with ThreadPoolExecutor(2) as threads:
        measured = compare(
            "option revaluation, chains on two threads, numba",
            "on one",
            Goal(Ratio.SPEED, 1.7),
            ours=lambda: list(threads.map(lambda half: [chain.ours(Kernels.NUMBA) for chain in half], (chains[::2], chains[1::2]))),
            theirs=lambda: [chain.ours(Kernels.NUMBA) for chain in chains],
            plan=plan,
        )
    pin(0)
    return measured


def _against_quantlib(chain: Chain, kernels: Kernels, plan: Plan) -> Measured:
    """Time both for each price: QuantLib on a part of one chain, the engine on the whole of it."""
    quantlib = _QuantLib(chain)
    np.testing.assert_allclose(quantlib.prices(), chain.ours(kernels)[:QUANTLIB_OPTIONS, :QUANTLIB_STATES], rtol=1e-9, atol=1e-8)
    ratios, pairs = [], []
    for place in range(plan.rounds):
        say(f"option revaluation / QuantLib: round {place + 1} of {plan.rounds}")
        own = seconds(lambda: chain.ours(kernels)) / (STRIKES * STATES)
        other = seconds(quantlib.prices) / (QUANTLIB_OPTIONS * QUANTLIB_STATES)
        ratios.append(other / own)
        pairs.append((own, other))
    note = "milliseconds are of one price"
    return summary((f"option revaluation, per price, {kernels.value}", "QuantLib from Python"), Goal(Ratio.SPEED, 200), ratios, pairs, note)


class _QuantLib:
    """Quotes that are moved, and analytic engines that hang on them."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        today = ql.Date(2, 3, 2026)
        ql.Settings.instance().evaluationDate = today
        self._spot, self._rate, self._volatility = ql.SimpleQuote(1.0), ql.SimpleQuote(0.0), ql.SimpleQuote(0.2)
        days = ql.Actual365Fixed()
        discount = ql.YieldTermStructureHandle(ql.FlatForward(today, ql.QuoteHandle(self._rate), days))
        surface = ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), ql.QuoteHandle(self._volatility), days))
        engine = ql.AnalyticEuropeanEngine(ql.BlackProcess(ql.QuoteHandle(self._spot), discount, surface))
        exercise = ql.EuropeanExercise(today + round(365 * chain.years))
        self._options = []
        for strike, sign in zip(chain.strikes.strike[:QUANTLIB_OPTIONS], chain.strikes.sign[:QUANTLIB_OPTIONS], strict=True):
            payoff = ql.PlainVanillaPayoff(ql.Option.Call if sign > 0 else ql.Option.Put, float(strike))
            option = ql.VanillaOption(payoff, exercise)
            option.setPricingEngine(engine)
            self._options.append(option)

    def prices(self) -> list[list[float]]:
        chain, by_state = self._chain, []
        for state in range(QUANTLIB_STATES):
            self._spot.setValue(float(chain.forward[state]))
            self._rate.setValue(float(-np.log(chain.unit[state]) / chain.years))
            self._volatility.setValue(float(chain.volatility.total / np.sqrt(chain.years) * chain.volatility.ratio[state]))
            by_state.append([option.NPV() for option in self._options])
        return [list(row) for row in zip(*by_state, strict=True)]


def _chain(random: np.random.Generator) -> Chain:
    years = round(365 * random.uniform(0.1, 1.5)) / 365
    forward = 100.0 * np.exp(np.append(0.0, 0.04 * random.standard_t(4, STATES - 1)))
    rate = 0.04 + np.append(0.0, 0.002 * random.standard_normal(STATES - 1))
    ratio = np.exp(np.append(0.0, 0.1 * random.standard_normal(STATES - 1)))
    strike = np.linspace(60, 150, STRIKES)
    nothing = np.full(STRIKES, np.nan)
    sign = np.where(strike < 100, -1.0, 1.0)
    return Chain(Strikes(strike, sign, nothing), forward, np.exp(-rate * years), Volatility(0.5 * np.sqrt(years), ratio), years)
