"""Carry what is remembered of stablecoins from one market snapshot to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Stablecoin
from crossmargin.domain.market import FactorKind, MarketSnapshot
from crossmargin.domain.market_building import Coins, followed_pegs
from crossmargin.domain.parameter_governance import in_force
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.risk_parameters import ParameterStore


@dataclass(slots=True)
class FollowPegs:
    """The one place where pegs are worked out: every snapshot passes here before it is stored, whoever made it.

    What it finds is stored with the snapshot, so that a margin of the past is computed again from the same pegs, and all replicas compute
    with the same ones.
    """

    instruments: InstrumentReader
    parameters: ParameterStore
    _coins: dict[InstrumentId, Stablecoin | None] = field(default_factory=dict)

    async def __call__(self, snapshot: MarketSnapshot, before: MarketSnapshot | None) -> MarketSnapshot:
        """Return the snapshot with its pegs, which follow from the snapshot before it and from the parameters in force at its time.

        Without parameters nothing says how fast a slow price may rise: such a snapshot remembers what the one before did.
        """
        parameters = await self._parameters_at(snapshot.as_of)
        if parameters is None:
            return replace(snapshot, pegs={} if before is None else before.pegs)
        coins = await self._coins_of(snapshot)
        return replace(snapshot, pegs=followed_pegs(snapshot, before, coins, parameters.charges.depeg))

    async def _parameters_at(self, moment: datetime) -> RiskParameters | None:
        governing = in_force(await self.parameters.activations(), moment)
        return None if governing is None else await self.parameters.get_parameters(governing.set_id)

    async def _coins_of(self, snapshot: MarketSnapshot) -> Coins:
        """Return the stablecoins that the snapshot has a price of. An instrument never changes, so each is asked for once."""
        names = set()
        for factor in snapshot.levels:
            if factor.kind is FactorKind.SPOT:
                names |= _as_instrument(factor.name)
        unknown = sorted(names - self._coins.keys())
        for name, instrument in (await self.instruments.get_instruments(unknown)).items() if unknown else ():
            self._coins[name] = instrument.terms if isinstance(instrument.terms, Stablecoin) else None
        return _known(self._coins, names)


def _as_instrument(name: str) -> set[InstrumentId]:
    """Return the instrument that a spot factor may be the price of; none for a name that no instrument can have."""
    try:
        return {InstrumentId(name)}
    except DomainError as error:
        if error.reason is not Reason.INVALID_IDENTIFIER:
            raise
        return set()


def _known(coins: Mapping[InstrumentId, Stablecoin | None], names: set[InstrumentId]) -> Coins:
    return {name: terms for name in sorted(names) if (terms := coins.get(name)) is not None}
