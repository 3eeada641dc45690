"""The search for the cheapest mix, on gains that can be followed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from crossmargin.engine.top_up import MixSearch, Offer

FINE = 1e-6


def linear(*dollars, missing):
    """A gain that grows by so many dollars when all of each offer is delivered."""
    return lambda fractions: float(np.dot(dollars, fractions)) - missing


def test_the_cheapest_dollar_comes_first_and_the_dearer_one_fills_up():
    offers = [Offer(1_000.0, 50.0, FINE), Offer(1_000.0, 10.0, FINE)]
    mix = MixSearch(offers, linear(1_000.0, 800.0, missing=900.0)).solve()
    assert mix.fractions == pytest.approx([0.1, 1.0], abs=1e-3)
    assert 0.0 <= mix.gain < 1.0
    assert mix.bound == pytest.approx(15.0, rel=1e-3)


def test_tiers_count_less_the_more_there_is():
    """Of the first all of 400 dollars counts and then half: beyond 400 it costs 0.02 a dollar that counts, and the second 0.015."""

    def gain(fractions):
        first = 1_000.0 * fractions[0]
        return min(first, 400.0) + 0.5 * max(first - 400.0, 0.0) + 1_000.0 * fractions[1] - 600.0

    mix = MixSearch([Offer(1_000.0, 10.0, FINE), Offer(1_000.0, 15.0, FINE)], gain).solve()
    assert mix.fractions == pytest.approx([0.4, 0.2], abs=2e-3)


def test_a_limit_that_one_offer_lifts_for_the_other_is_seen():
    """The cheap one counts at most as much as the dear one: half of each, and not 600 dollars of the dear one alone."""

    def gain(fractions):
        dear, cheap = 1_000.0 * fractions[0], 1_000.0 * fractions[1]
        return dear + min(cheap, dear) - 600.0

    mix = MixSearch([Offer(1_000.0, 50.0, FINE), Offer(1_000.0, 1.0, FINE)], gain).solve()
    assert mix.fractions == pytest.approx([0.3, 0.3], abs=3e-3)


def test_lots_are_whole_and_least_deliveries_are_kept():
    offers = [Offer(1_000.0, 10.0, 0.25), Offer(1_000.0, 15.0, FINE, least=0.5)]
    gain = linear(1_000.0, 1_000.0, missing=400.0)
    mix = MixSearch(offers, gain).solve()
    assert mix.counts == (2, 0)
    assert MixSearch([Offer(1_000.0, 20.0, 0.25), offers[1]], gain).solve().fractions == pytest.approx([0.0, 0.5], abs=1e-5)


def test_of_two_that_cost_nothing_the_smaller_delivery_is_taken():
    mix = MixSearch([Offer(1_000.0, 0.0, FINE), Offer(1_000.0, 0.0, FINE)], linear(500.0, 1_000.0, missing=400.0)).solve()
    assert mix.fractions == pytest.approx([0.0, 0.4], abs=1e-3)


def test_where_nothing_is_enough_the_mix_gains_the_most_and_delivers_nothing_in_vain():
    """Beyond half of the first nothing counts, and the second never does."""

    def gain(fractions):
        return min(1_000.0 * fractions[0], 500.0) - 900.0

    mix = MixSearch([Offer(1_000.0, 10.0, FINE), Offer(1_000.0, 0.0, FINE)], gain).solve()
    assert mix.gain == pytest.approx(-400.0, abs=0.1)
    assert mix.fractions == pytest.approx([0.5, 0.0], abs=1e-3)


def test_more_is_asked_for_where_more_is_required():
    search = MixSearch([Offer(1_000.0, 10.0, FINE)], linear(1_000.0, missing=400.0))
    assert search.solve().fractions == pytest.approx([0.4], abs=1e-3)
    assert search.solve(100.0).fractions == pytest.approx([0.5], abs=1e-3)
    assert search.solve(700.0).gain == pytest.approx(600.0, abs=0.01)


def test_a_gain_that_bends_the_wrong_way_hides_no_single_offer():
    """Nothing counts of the first until nearly all of it is there, as when a charge falls away: no plane foresees it."""

    def gain(fractions):
        return (1_000.0 if fractions[0] > 0.9 else 0.0) + 1_000.0 * fractions[1] - 800.0

    mix = MixSearch([Offer(1_000.0, 1.0, 0.05), Offer(1_000.0, 50.0, 0.05)], gain).solve()
    assert mix.counts == (19, 0)
