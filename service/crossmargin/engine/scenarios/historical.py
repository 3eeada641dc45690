"""Ordinary scenarios: overlapping joint moves of the past, all factors starting on the same day, scaled to today's volatility."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.market import FactorId
from crossmargin.domain.market_clock import HorizonClock
from crossmargin.domain.risk_parameters import FactorProxy, OffsetGroup, RiskParameters
from crossmargin.engine.axes import ByScenario, ByScenarioFactor, Index
from crossmargin.engine.scenarios.history_arrays import ByDay, HistoryArrays
from crossmargin.engine.scenarios.volatility_scaling import scaling_ratios


@dataclass(frozen=True, eq=False)
class OrdinaryMoves:
    """Moves of the factors over each group's margin period.

    Attributes:
        names: [S] start days, ISO, oldest first.
        factors: Axis F, sorted: those with a full history in the window, or with a proxy that has one.
        shocks: [S, F] scaled log-returns or differences.
        proxied: Factors that move with their proxy.
        unavailable: Factors that cannot be shocked, with the error that says why.
    """

    names: tuple[str, ...]
    factors: tuple[FactorId, ...]
    shocks: ByScenarioFactor
    proxied: Mapping[FactorId, FactorProxy]
    unavailable: Mapping[FactorId, DomainError]


def ordinary_moves(history: HistoryArrays, factors: Sequence[FactorId], parameters: RiskParameters) -> OrdinaryMoves:
    """Return the last `observation_count` joint moves of `factors`, which are sorted and each in an offset group.

    The move of a factor from day d ends when its group's margin period does. A factor without a level somewhere in the window
    is neither guessed nor allowed to shorten the window for the others: it takes its proxy's moves, or is unavailable. What a
    factor gets depends on the history and the parameters, never on which other factors are asked for.

    Raises:
        DomainError: INSUFFICIENT_HISTORY when the history holds fewer than `minimum_observation_count` start days.
    """
    starts = start_days(history, parameters)
    shocks_of = _complete_shocks(history, factors, starts, parameters)
    proxied: dict[FactorId, FactorProxy] = {}
    unavailable: dict[FactorId, DomainError] = {}
    columns: dict[FactorId, ByScenario] = {}
    for factor in factors:
        proxy = parameters.proxy_of_curve.get(factor.curve)
        node = None if proxy is None else nearest_node(shocks_of, proxy.proxy_curve, factor.tenor_years)
        if factor in shocks_of:
            columns[factor] = shocks_of[factor]
        elif proxy is not None and node is not None:
            columns[factor] = proxied_shocks(shocks_of[node], proxy, starts)
            proxied[factor] = proxy
        else:
            unavailable[factor] = _insufficient_history(factor, history, starts, parameters)
    shocks = np.column_stack([*columns.values()]) if columns else np.empty((len(starts), 0))
    return OrdinaryMoves(tuple(map(str, starts)), tuple(columns), shocks, proxied, unavailable)


def proxied_shocks(shocks: ByScenario, proxy: FactorProxy, starts: ByDay) -> ByScenario:
    """Return [S] beta times the proxy's shocks, plus what the proxy does not explain.

    The second part is `idiosyncratic_fraction` times the proxy's root mean square times a standard normal number, which is a function of
    the curve and the start day alone: the quantile at a hash of both. So it is uncorrelated with the proxy and with other curves up to
    the noise of the sample, the same for all nodes of a curve, and a day keeps its shock's shape for as long as it is in the window.
    """
    own_part = float(proxy.idiosyncratic_fraction) * np.sqrt(np.mean(shocks**2)) * _hashed_normals(proxy.curve, starts)
    return np.asarray(float(proxy.beta) * shocks + own_part)


def start_days(history: HistoryArrays, parameters: RiskParameters) -> ByDay:
    """Return [S] the last `observation_count` days from which the longest margin period of any group ends within the history.

    Raises:
        DomainError: INSUFFICIENT_HISTORY for fewer than `minimum_observation_count`.
    """
    days = history.days
    starts: ByDay = whole_periods(days, parameters)[-parameters.observation_count :]
    if len(starts) < parameters.minimum_observation_count:
        raise DomainError(
            Reason.INSUFFICIENT_HISTORY,
            f"history of {len(days)} days holds {len(starts)} whole margin periods; risk parameters {parameters.set_id} need at least "
            f"{parameters.minimum_observation_count}: import more history",
            observations=len(starts),
            needed=parameters.minimum_observation_count,
        )
    return starts


def whole_periods(days: ByDay, parameters: RiskParameters) -> ByDay:
    """Return those of consecutive `days` from which the margin period of every group ends on one of them."""
    horizons = {(group.mpor_days, group.mpor_clock): group for group in parameters.offset_groups}
    last_end = np.max([days, *(end_days(days, group) for group in horizons.values())], axis=0)
    whole: ByDay = days[last_end <= days[-1:]]
    return whole


def unscaled_moves(
    history: HistoryArrays, factors: Sequence[FactorId], starts: ByDay, parameters: RiskParameters
) -> dict[FactorId, ByScenario]:
    """Return the moves as they were from each of `starts`, of all factors with a level on every day that is needed.

    Those in the groups that `factors` and their proxies belong to; a factor that no group claims is passed over.
    """
    mapped = [factor for factor in factors if factor.curve in parameters.group_of_curve]
    moves_of: dict[FactorId, ByScenario] = {}
    for group, members in _members_by_group(history, mapped, parameters).items():
        moves = _moves(history.of(members), starts, group)
        for column in np.flatnonzero(~np.any(np.isnan(moves), axis=0)):
            moves_of[members[column]] = moves[:, column]
    return moves_of


def end_days(starts: ByDay, group: OffsetGroup) -> ByDay:
    """Return [S] the day on which the group's margin period ends, counted on the group's clock.

    On the business clock a period that starts on a weekend starts from Friday's carried level: one business day from Saturday is
    Monday, as it is from Friday.
    """
    if group.mpor_clock is HorizonClock.CALENDAR:
        ends: ByDay = starts + np.timedelta64(group.mpor_days, "D")
    else:
        ends = np.busday_offset(starts, group.mpor_days, roll="backward")
    return ends


def nearest_node(candidates: Mapping[FactorId, ByScenario], curve: str, years: float) -> FactorId | None:
    """Return the node of `curve` closest to a tenor, the shorter of two equally close; None when the curve has no node."""
    nodes = [factor for factor in candidates if factor.curve == curve]
    return min(nodes, key=lambda node: (abs(node.tenor_years - years), node.tenor_years, node), default=None)


def _complete_shocks(
    history: HistoryArrays, factors: Sequence[FactorId], starts: ByDay, parameters: RiskParameters
) -> dict[FactorId, ByScenario]:
    """Return the scaled shocks of all factors with a full history in the groups that `factors` and their proxies belong to."""
    shocks_of: dict[FactorId, ByScenario] = {}
    for group, members in _members_by_group(history, factors, parameters).items():
        shocks = _scaled_shocks(history.of(members), starts, group, parameters)
        for column in np.flatnonzero(~np.any(np.isnan(shocks), axis=0)):
            shocks_of[members[column]] = shocks[:, column]
    return shocks_of


def _members_by_group(
    history: HistoryArrays, factors: Sequence[FactorId], parameters: RiskParameters
) -> Mapping[OffsetGroup, list[FactorId]]:
    """Return, for each group wanted, its factors in the history: all of them, because a group's volatility is that of all."""
    wanted = set(_groups_of(factors, parameters))
    members: defaultdict[OffsetGroup, list[FactorId]] = defaultdict(list)
    for factor in sorted(history.factors):
        group = parameters.group_of_curve.get(factor.curve)
        if group in wanted and group is not None:
            members[group].append(factor)
    return members


def _groups_of(factors: Sequence[FactorId], parameters: RiskParameters) -> Iterator[OffsetGroup]:
    for factor in factors:
        yield parameters.group_of(factor)
        proxy = parameters.proxy_of_curve.get(factor.curve)
        if proxy is not None and proxy.proxy_curve in parameters.group_of_curve:
            yield parameters.group_of_curve[proxy.proxy_curve]


def _scaled_shocks(arrays: HistoryArrays, starts: ByDay, group: OffsetGroup, parameters: RiskParameters) -> ByScenarioFactor:
    """Return [S, F] moves over the group's margin period times the group's volatility ratio; NaN where a level is missing."""
    ratios = scaling_ratios(arrays.coordinates, arrays.observed, _rows(arrays, starts), parameters)
    return ratios[:, np.newaxis] * _moves(arrays, starts, group)


def _moves(arrays: HistoryArrays, starts: ByDay, group: OffsetGroup) -> ByScenarioFactor:
    """Return [S, F] moves over the group's margin period; NaN where a level is missing."""
    return arrays.moves(starts, end_days(starts, group))


def _rows(arrays: HistoryArrays, days: ByDay) -> Index:
    return np.asarray((days - arrays.days[0]).astype(np.int64))


def _hashed_normals(curve: str, days: ByDay) -> ByScenario:
    """Return [S] a standard normal number for each day: the same for ever, without a generator whose stream could change."""
    digests = [hashlib.sha256(f"{curve} {day}".encode()).digest() for day in days]
    # 52 bits and a half, so that the share is exact in a float and never 0 or 1.
    shares = [(int.from_bytes(digest[:8], "big") // 4096 + 0.5) / 2**52 for digest in digests]
    return np.asarray(ndtri(shares), dtype=np.float64)


def _insufficient_history(factor: FactorId, history: HistoryArrays, starts: ByDay, parameters: RiskParameters) -> DomainError:
    is_known = factor in history.factors
    observed = history.days[history.of([factor]).observed[:, 0]].tolist() if is_known else []
    first, last = (observed[0], observed[-1]) if observed else ("never", "never")
    end = end_days(starts[-1:], parameters.group_of(factor))[0]
    return DomainError(
        Reason.INSUFFICIENT_HISTORY,
        f"history of {factor} has {len(observed)} levels, first {first} and last {last}; every day from {starts[0]} to {end} must have "
        f"one at most {parameters.maximum_carry_days} days old: import it, or give {factor.curve} a proxy that has such a history",
        factor=factor,
        first=first,
        last=last,
        needed_from=starts[0],
        needed_to=end,
    )
