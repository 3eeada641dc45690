"""The house product: 10,000 accounts of 200 positions, 8,000 instruments, 512 scenarios, beside tiled C and one scipy product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from crossmargin.engine.kernels.choice import Kernels, functions_of
from crossmargin.engine.netting import LegHoldings, netted_pnl
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, compare
from tests.benchmarks.houses import a_market
from tests.benchmarks.opponents.compiled import call

ACCOUNTS, POSITIONS, INSTRUMENTS, SCENARIOS = 10_000, 200, 8_000, 512
QUICK_ACCOUNTS = 500
TILE = 32


def run(plan: Plan) -> list[Measured]:
    """Return the rows against C and scipy, of the accounts' profits in every scenario."""
    accounts = QUICK_ACCOUNTS if plan.is_quick else ACCOUNTS
    house = _House.of(accounts)
    np.testing.assert_allclose(house.in_c(), house.by_scipy(), rtol=1e-9, atol=1e-6)
    np.testing.assert_array_equal(house.compiled(), house.by_scipy())
    np.testing.assert_allclose(house.account_by_account()[:50], house.by_scipy()[:50], rtol=1e-9, atol=1e-6)
    path = f"house product {accounts:,} x {POSITIONS}, S = {SCENARIOS}"
    note = "the engine adds up by group and class for each account, which its opponents do not"
    alone = "the product alone, as the engine's kernels have it; a house is margined account by account"
    sides = (("tiled C", 0.6, house.in_c), ("one scipy product", 1.5, house.by_scipy))
    return [
        compare(path, against, Goal(Ratio.SPEED, goal), ours=house.account_by_account, theirs=theirs, plan=plan, note=note)
        for against, goal, theirs in sides
    ] + [
        compare(f"{path}, compiled", against, Goal(Ratio.SPEED, goal), ours=house.compiled, theirs=theirs, plan=plan, note=alone)
        for against, goal, theirs in sides
    ]


@dataclass(frozen=True)
class _House:
    market: RevaluedMarket
    weights: csr_array
    tiled: np.ndarray

    @staticmethod
    def of(accounts: int) -> _House:
        market, random = a_market(INSTRUMENTS, SCENARIOS), np.random.default_rng(3)
        legs = np.concatenate([np.sort(random.choice(INSTRUMENTS, POSITIONS, replace=False)) for _ in range(accounts)])
        ends = np.arange(0, accounts * POSITIONS + 1, POSITIONS)
        quantity = random.normal(0, 10, len(legs))
        weights = csr_array((quantity, legs.astype(np.int32), ends.astype(np.int32)), shape=(accounts, INSTRUMENTS))
        tiled = np.ascontiguousarray(market.leg_pnl.reshape(INSTRUMENTS, -1, TILE).transpose(1, 0, 2))
        return _House(market, weights, tiled)

    def by_scipy(self) -> np.ndarray:
        return np.asarray(self.weights @ self.market.leg_pnl)

    def in_c(self) -> np.ndarray:
        out = np.empty((self.weights.shape[0], SCENARIOS))
        first, leg = self.weights.indptr.astype(np.int64), self.weights.indices
        call("house", len(out), INSTRUMENTS, SCENARIOS // TILE, first, leg, self.weights.data, self.tiled, out)
        return out

    def compiled(self) -> np.ndarray:
        weights = self.weights
        product = functions_of(Kernels.NUMBA).sparse_product
        return product(starts=weights.indptr, columns=weights.indices, values=weights.data, dense=self.market.leg_pnl)

    def account_by_account(self) -> np.ndarray:
        out, places = np.empty((self.weights.shape[0], SCENARIOS)), np.arange(POSITIONS)
        for account in range(len(out)):
            own = slice(account * POSITIONS, (account + 1) * POSITIONS)
            legs = LegHoldings(self.weights.indices[own].astype(np.int64), places, self.weights.data[own])
            out[account] = netted_pnl(legs, self.market).account_pnl
        return out
