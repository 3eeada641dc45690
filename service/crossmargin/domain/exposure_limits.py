"""Limits on what an account, or all accounts of a client together, may be exposed to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, ClientId, OffsetGroupId
from crossmargin.domain.money import check_ledger_decimal, format_decimal


@dataclass(frozen=True, slots=True)
class ExposureLimits:
    """What a client, or one account of it, may be exposed to at most. Base currency, zero or more; None where there is no limit.

    Attributes:
        account_id: The account; None for all accounts of the client together.
        gross: Of the absolute exposures of all holdings, added up.
        net: Of all exposures, longs less shorts.
        order_notional: Of one order.
        groups: Net exposure of each offset group named.
        set_by: Who set them last, both of them: `alice and bob`; empty if nobody did.
        set_at: When, by the clock of the storage; None if never.
    """

    client_id: ClientId
    account_id: AccountId | None
    gross: Decimal | None = None
    net: Decimal | None = None
    order_notional: Decimal | None = None
    groups: Mapping[OffsetGroupId, Decimal] = field(default_factory=dict)
    set_by: str = ""
    set_at: datetime | None = None

    def __post_init__(self) -> None:
        for name, limit in (("gross", self.gross), ("net", self.net), ("order_notional", self.order_notional), *self.groups.items()):
            if limit is not None and check_ledger_decimal(limit, what=f"limit {name}") < 0:
                raise DomainError(Reason.INVALID_ARGUMENT, f"limit {name} was {limit}; expected zero or more", field=name, value=limit)

    @property
    def scope(self) -> str:
        """What they are about: `clients/alpha`, or `clients/alpha/accounts/core`."""
        client = f"clients/{self.client_id}"
        return client if self.account_id is None else f"{client}/accounts/{self.account_id}"

    @property
    def is_empty(self) -> bool:
        """True when nothing is limited."""
        return self.gross is None and self.net is None and self.order_notional is None and not self.groups

    @property
    def words(self) -> str:
        """All that somebody asks for who wants to set them, in words; what is not named is not limited."""
        named = (("gross", self.gross), ("net", self.net), ("one order", self.order_notional))
        limits = [f"{name} {format_decimal(limit)}" for name, limit in named if limit is not None]
        limits += [f"group {name} {format_decimal(self.groups[name])}" for name in sorted(self.groups)]
        return f"set limits of {self.scope}: {', '.join(limits) or 'none'}"


@dataclass(frozen=True, slots=True)
class ExposureUsage:
    """The most that holdings, and orders that may fill, can come to. Base currency, zero or more."""

    gross: Decimal
    net: Decimal
    groups: Mapping[OffsetGroupId, Decimal]


@dataclass(frozen=True, slots=True)
class LimitUsage:
    """One limit and how much of it is used. `name` is gross, net, order, or group:BTC."""

    scope: str
    name: str
    limit: Decimal
    used: Decimal

    @property
    def is_breached(self) -> bool:
        """True when more is used than may be."""
        return self.used > self.limit


def usage_of(limits: ExposureLimits, usage: ExposureUsage) -> tuple[LimitUsage, ...]:
    """Return each limit on holdings with what is used of it, in the order gross, net, groups by name."""
    return tuple(_usages(limits, usage))


def order_usage(limits: ExposureLimits, notional: Decimal) -> LimitUsage | None:
    """Return what an order of this notional uses of the limit on one order; None where there is none."""
    if limits.order_notional is None:
        return None
    return LimitUsage(limits.scope, "order", limits.order_notional, notional)


def limit_exceeded(usage: LimitUsage) -> DomainError:
    """Return the error for a request that would bring exposure over a limit."""
    return DomainError(
        Reason.LIMIT_EXCEEDED,
        f"limit {usage.name} of {usage.scope} is {usage.limit}; the request could bring it to {usage.used}, open orders included",
        scope=usage.scope,
        limit=usage.name,
        value=usage.used,
        expected=usage.limit,
    )


def _usages(limits: ExposureLimits, usage: ExposureUsage) -> Iterator[LimitUsage]:
    if limits.gross is not None:
        yield LimitUsage(limits.scope, "gross", limits.gross, usage.gross)
    if limits.net is not None:
        yield LimitUsage(limits.scope, "net", limits.net, usage.net)
    for group_id, limit in sorted(limits.groups.items()):
        yield LimitUsage(limits.scope, f"group:{group_id}", limit, usage.groups.get(group_id, Decimal(0)))
