"""Make the next market snapshot of what the sources have said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from crossmargin.domain.identifiers import InstrumentId, RiskParameterSetId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.market_building import Listing, clock_of_curves, next_snapshot, says_more_than
from crossmargin.domain.market_clock import HorizonClock
from crossmargin.domain.parameter_governance import in_force
from crossmargin.domain.quote import Quote
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.revaluation import required_curves
from crossmargin.usecases.follow_pegs import FollowPegs
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.market import MarketStore
from crossmargin.usecases.ports.quote import QuoteMetrics, QuoteStore
from crossmargin.usecases.ports.risk_parameters import ParameterStore
from crossmargin.usecases.ports.writing import PrecedingSnapshotChangedError
from crossmargin.usecases.publish_snapshot import PublishSnapshot
from crossmargin.usecases.storage_errors import no_risk_parameters

BUILDER = "crossmargin"


@dataclass(slots=True)
class BuildSnapshot:
    """Judges every level and mark against the snapshot before, and publishes the result when it says anything new.

    Nothing is built as long as nobody quotes: whoever publishes whole snapshots is left alone.
    """

    quotes: QuoteStore
    market: MarketStore
    instruments: InstrumentReader
    parameters: ParameterStore
    follow_pegs: FollowPegs
    publish: PublishSnapshot
    metrics: QuoteMetrics
    _listings: dict[tuple[RiskParameterSetId, InstrumentId], Listing] = field(default_factory=dict)

    async def __call__(self, now: datetime) -> MarketSnapshot | None:
        """Return the snapshot that was published, or None when there was nothing new to say.

        Raises:
            DomainError: NO_RISK_PARAMETERS when none are in force at `now`.
        """
        quotes = await self.quotes.latest_quotes()
        if not quotes:
            return None
        previous = await self._latest_snapshot()
        if previous is not None and previous.as_of >= now:
            return None  # a snapshot of the future counts until its time has come
        parameters = await self._parameters_at(now)
        listings = await self._listings_of(quotes, previous, parameters)
        snapshot = next_snapshot(previous, quotes, listings, parameters, now)
        if snapshot is None:
            return None
        snapshot = await self.follow_pegs(snapshot, previous)
        if not says_more_than(snapshot, previous, parameters):
            return None
        try:
            await self.publish.store(snapshot, previous, principal=BUILDER)
        except PrecedingSnapshotChangedError:
            return None  # somebody published one meanwhile: the next tick is judged against it
        self.metrics.snapshot_built(snapshot)
        return snapshot

    async def _latest_snapshot(self) -> MarketSnapshot | None:
        return None if await self.market.latest_snapshot_id() is None else await self.market.latest_snapshot()

    async def _parameters_at(self, now: datetime) -> RiskParameters:
        governing = in_force(await self.parameters.activations(), now)
        if governing is None:
            raise no_risk_parameters()
        return await self.parameters.get_parameters(governing.set_id)

    async def _listings_of(
        self, quotes: Sequence[Quote], previous: MarketSnapshot | None, parameters: RiskParameters
    ) -> Mapping[InstrumentId, Listing]:
        """Return what may have a mark. An instrument never changes, so each is asked for once."""
        names = {quote.subject for quote in quotes if isinstance(quote.subject, InstrumentId)}
        names |= set() if previous is None else set(previous.marks)
        unknown = sorted(name for name in names if (parameters.set_id, name) not in self._listings)
        for name, instrument in (await self.instruments.get_instruments(unknown)).items() if unknown else ():
            self._listings[parameters.set_id, name] = Listing(instrument, await self._clock_of(instrument, parameters))
        return {name: self._listings[parameters.set_id, name] for name in names if (parameters.set_id, name) in self._listings}

    async def _clock_of(self, instrument: Instrument, parameters: RiskParameters) -> HorizonClock:
        assets = await self.instruments.get_instruments(sorted({instrument.settlement, *instrument.references()}))
        return clock_of_curves(required_curves([instrument, *assets.values()]), parameters)
