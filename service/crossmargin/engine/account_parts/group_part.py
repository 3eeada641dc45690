"""The offset groups of an account: profits, tails and what charges rest on, each group by itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from crossmargin.engine.account_parts.leg_entries import NO_LEGS, LegEntries, by_group, is_among, local_legs, merged
from crossmargin.engine.axes import ByGroup, ByRow, ByScenario, Index
from crossmargin.engine.charges import ChargedGroups, charged_groups, exposures_of
from crossmargin.engine.charges.basis import BasisMatched
from crossmargin.engine.netting import BlockedLegs, added_up, blocked_legs, gross_requirement
from crossmargin.engine.portfolio_arrays import MarginRates
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.tail_mean import tails_of


@dataclass(frozen=True, slots=True, eq=False)
class Profits:
    """Profits of one group in every scenario: `total` [S], and the blocks that it adds up, by their numbers, ascending.

    Each block [S] is an array of its own, so that a group with another block in place of one of them shares all the rest.
    """

    total: ByScenario
    block_count: int
    blocks: Mapping[int, ByScenario]

    @property
    def byte_count(self) -> int:
        """Memory of the profits."""
        return sum(pnl.nbytes for pnl in self.blocks.values()) + (self.total.nbytes if len(self.blocks) > 1 else 0)

    def with_blocks(self, gone: Collection[int], new: Mapping[int, ByScenario]) -> Profits:
        """Return the profits without the blocks `gone` and with the `new` ones, which are among them."""
        stays = ((number, pnl) for number, pnl in self.blocks.items() if number not in gone)
        return profits_of_blocks(dict(sorted((*stays, *new.items()))), self.block_count)


def profits_of_blocks(blocks: Mapping[int, ByScenario], block_count: int) -> Profits:
    """Return the profits of a group with these blocks, ascending."""
    return Profits(added_up(tuple(blocks.values())), block_count, blocks)


@dataclass(frozen=True, slots=True, eq=False)
class GroupPart:
    """All groups that an account touches, by their rows among the market's, and the classes above them.

    Attributes:
        entries: Legs of every group, of those as well that only what is pledged is in.
        profits: Of every touched group. class_pnl: [S] of every touched class, by its row.
        groups, classes: Rows of those touched, ascending. alone: [U] tail means of every holding alone, added up.
        losses: [R] tail means of groups, classes and the account before the floor at zero.
        charged: What charges rest on. account_pnl: [S] in total.
    """

    entries: Mapping[int, LegEntries]
    profits: Mapping[int, Profits]
    class_pnl: Mapping[int, ByScenario]
    groups: Index
    classes: Index
    alone: ByGroup
    losses: ByRow
    charged: ChargedGroups
    account_pnl: ByScenario

    @property
    def requirement(self) -> ByRow:
        """[R] tail means of groups, classes and the account."""
        means: ByRow = np.maximum(0.0, self.losses)
        return means

    @property
    def byte_count(self) -> int:
        """Memory of the profits and the legs, which is nearly all there is."""
        legs = sum(each.byte_count for each in self.entries.values())
        return legs + sum(each.byte_count for each in self.profits.values()) + sum(each.nbytes for each in self.class_pnl.values())

    def leg_count_beside(self, rows: Iterable[int], market: RevaluedMarket) -> int:
        """Return how many legs are in the groups that instruments at these rows can bring legs in."""
        return sum(len(self.entries.get(group, NO_LEGS).key) for group in groups_beside(rows, market))


def group_part(entries: LegEntries, market: RevaluedMarket, rates: MarginRates) -> GroupPart:
    """Return the groups of an account that brings these legs.

    Raises:
        FloatingPointError: When the market holds a profit that is not finite.
    """
    return _Redoing(None, by_group(entries, market), market, rates).part()


def group_part_with(part: GroupPart, gone: Index, new: LegEntries, *, market: RevaluedMarket, rates: MarginRates) -> GroupPart:
    """Return the groups once the instruments at the rows `gone`, ascending, bring the `new` legs and no others; errors as `group_part`.

    Only their groups are redone, and of those only their blocks are added up anew. Each figure of a group follows from that group alone,
    whatever it was worked out with, so this is `group_part` of all legs to the bit.
    """
    added = by_group(new, market)
    entries = {
        group: part.entries.get(group, NO_LEGS).with_rows(gone, added.get(group, NO_LEGS), market)
        for group in groups_beside(gone.tolist(), market)
    }
    return _Redoing(part, entries, market, rates, changed=gone).part()


class _Redoing:
    """Some groups of an account, worked out anew beside those that stay as they are."""

    def __init__(
        self,
        kept: GroupPart | None,
        entries: Mapping[int, LegEntries],
        market: RevaluedMarket,
        rates: MarginRates,
        *,
        changed: Index | None = None,
    ) -> None:
        self._kept, self._market, self._rates, self._changed = kept, market, rates, changed
        self._redone = np.array(sorted(entries), dtype=np.int64)
        self._stays = np.zeros(0, dtype=np.bool_) if kept is None else ~is_among(kept.groups, self._redone)
        before = {} if kept is None else kept.entries
        self._entries = {group: each for group, each in {**before, **entries}.items() if len(each.key)}
        self._local = local_legs(merged(*entries.values()), market)

    def part(self) -> GroupPart:
        """Return all groups."""
        market, scenario = self._market, self._local.scenario
        blocked = blocked_legs(scenario, market)
        exposures = exposures_of(scenario, blocked.groups, len(self._local.row), market)
        charged = charged_groups(
            exposures, self._local.whole, row=self._local.row, quantity=self._local.quantity, market=market, rates=self._rates.charges
        )
        alone = gross_requirement(scenario, market, self._rates.tail_fraction)
        own = self._profits(blocked)
        if self._kept is None:
            profits, order = own, np.arange(len(own))
        else:
            stays = self._stays
            rows = np.concatenate((self._kept.groups[stays], blocked.groups))
            order = np.argsort(rows, kind="stable")
            known = {group: self._kept.profits[group] for group in self._kept.groups[stays].tolist()} | own
            profits = {group: known[group] for group in rows[order].tolist()}
            charged = _joined(self._kept.charged, charged, market, stays=stays, order=order, redone=self._redone)
            alone = np.concatenate((self._kept.alone[stays], alone))[order]
        return self._with_classes(profits, own, order, charged, alone)

    def _with_classes(
        self, profits: Mapping[int, Profits], own: Mapping[int, Profits], order: Index, charged: ChargedGroups, alone: ByGroup
    ) -> GroupPart:
        market, kept = self._market, self._kept
        groups = np.array(list(profits), dtype=np.int64)
        group_class = market.group_class[groups]
        classes = np.unique(group_class)
        redone = set(market.group_class[self._redone].tolist()) if kept is not None else set(classes.tolist())
        class_pnl = {
            each: added_up([profits[group].total for group in groups[group_class == each].tolist()])
            if each in redone or kept is None
            else kept.class_pnl[each]
            for each in classes.tolist()
        }
        new_classes = [each for each in classes.tolist() if each in redone]
        account_pnl = added_up(tuple(class_pnl.values())) if class_pnl else np.zeros(market.leg_pnl.shape[1])
        if not np.isfinite(account_pnl).all():
            raise FloatingPointError(f"profits of the account are not finite under market snapshot {market.snapshot_id}")
        rows = [*(each.total for each in own.values()), *(class_pnl[each] for each in new_classes), account_pnl]
        found = tails_of(np.stack(rows), market.scenarios.weights, self._rates.tail_fraction).losses
        of_groups, of_classes = found[: len(own)], dict(zip(new_classes, found[len(own) : -1].tolist(), strict=True))
        if kept is not None:
            of_groups = np.concatenate((kept.losses[: len(kept.groups)][self._stays], of_groups))[order]
            before = dict(zip(kept.classes.tolist(), kept.losses[len(kept.groups) : -1].tolist(), strict=True))
            of_classes = before | of_classes
        losses = np.concatenate((of_groups, [of_classes[each] for each in classes.tolist()], found[-1:]))
        return GroupPart(self._entries, profits, class_pnl, groups, classes, alone, losses, charged, account_pnl)

    def _profits(self, blocked: BlockedLegs) -> dict[int, Profits]:
        """Return the profits of the groups, with the blocks that nothing has changed as they were."""
        numbers = zip(blocked.groups.tolist(), blocked.block_count.tolist(), strict=True)
        stale = {group: self._stale_blocks(group, count) for group, count in numbers}
        wanted = blocked
        for place, blocks in enumerate(stale.values()):
            if blocks is not None:
                wanted = wanted.take((wanted.group != place) | is_among(wanted.block, blocks))
        sums = wanted.sums(self._market)
        new: list[dict[int, ByScenario]] = [{} for _ in stale]
        for place, number, pnl in zip(sums.group.tolist(), sums.block.tolist(), sums.pnl, strict=True):
            new[place][number] = pnl
        found = {}
        for own, count, (group, blocks) in zip(new, blocked.block_count.tolist(), stale.items(), strict=True):
            if blocks is None or self._kept is None:
                found[group] = profits_of_blocks(own, count)
            else:
                found[group] = self._kept.profits[group].with_blocks(blocks.tolist(), own)
        return found

    def _stale_blocks(self, group: int, block_count: int) -> Index | None:
        """Return the numbers of the blocks that changed instruments have legs in; None when all are to be added up."""
        known = None if self._kept is None else self._kept.profits.get(group)
        if known is None or self._changed is None or block_count == 1 or known.block_count != block_count:
            return None
        rows = np.concatenate((self._changed, self._market.settlement_row[self._changed]))
        return self._market.name_hash[rows] & (block_count - 1)


def _joined(
    kept: ChargedGroups, new: ChargedGroups, market: RevaluedMarket, *, stays: NDArray[np.bool_], order: Index, redone: Index
) -> ChargedGroups:
    """Return the groups that stay and the new ones, in their `order`; of joint shocks and coins all that is in a `redone` group is new."""

    def both(before: ByGroup, after: ByGroup) -> ByGroup:
        joined: ByGroup = np.concatenate((before[stays], after))[order]
        return joined

    joint = kept.joint.copy()
    joint[:, redone] = new.joint[:, redone]
    coin_stays = ~is_among(market.instrument_group[kept.matched.coin], redone)
    coin = np.concatenate((kept.matched.coin[coin_stays], new.matched.coin))
    by_coin = np.argsort(coin)
    return ChargedGroups(
        groups=np.concatenate((kept.groups[stays], new.groups))[order],
        net=both(kept.net, new.net),
        gross=both(kept.gross, new.gross),
        matched=BasisMatched(
            carry=both(kept.matched.carry, new.matched.carry),
            quoted=both(kept.matched.quoted, new.matched.quoted),
            coin=coin[by_coin],
            coin_net=np.concatenate((kept.matched.coin_net[coin_stays], new.matched.coin_net))[by_coin],
        ),
        short_notional=both(kept.short_notional, new.short_notional),
        joint=joint,
    )


_groups_beside: Final[WeakKeyDictionary[RevaluedMarket, dict[int, frozenset[int]]]] = WeakKeyDictionary()


def groups_beside(rows: Iterable[int], market: RevaluedMarket) -> list[int]:
    """Return the groups, ascending, that instruments at these rows can bring legs in: their own, and those of what they settle in."""
    known = _groups_beside.setdefault(market, {})
    found: set[int] = set()
    for row in rows:
        if row not in known:
            known[row] = frozenset(_groups_of(row, market)) | frozenset(_groups_of(int(market.settlement_row[row]), market))
        found |= known[row]
    return sorted(found)


def _groups_of(row: int, market: RevaluedMarket) -> list[int]:
    return list(map(int, market.leg_group[market.first_leg[row] : market.first_leg[row + 1]]))
