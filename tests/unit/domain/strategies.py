"""What hypothesis draws for the ledger: amounts, moments, names, postings and entries."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import strategies as st

from crossmargin.domain.account import AccountHead, AccountMode, AccountStatus
from crossmargin.domain.book import EntryKind, NewEntry, Posting
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.money import EXACT

ACCOUNT = AccountRef(ClientId("alpha"), AccountId("core"))


def decimals(least_units: int, most_units: int) -> st.SearchStrategy[Decimal]:
    """Decimals between two counts of 1e-18, each end included."""
    return st.integers(least_units, most_units).map(lambda units: Decimal(units).scaleb(-18, EXACT))


ledger_decimals = decimals(-(10**38) + 1, 10**38 - 1)
positive_decimals = decimals(1, 10**38 - 1)
moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
books = st.sampled_from([BookId("basis"), BookId("macro"), BookId("pairs")])
assets = st.sampled_from([InstrumentId("USD"), InstrumentId("BTC"), InstrumentId("BTC-PERP")])
references = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=128)


@st.composite
def legs(draw: st.DrawFn) -> tuple[Posting, Posting]:
    """Two postings that sum to zero, as every entry is made of."""
    book, asset, quantity, cost = draw(books), draw(assets), draw(ledger_decimals), draw(ledger_decimals)
    other_side = draw(st.sampled_from(["street", "custodian", "house"]))
    return (
        Posting("core", book, asset, quantity, cost),
        Posting(other_side, book, asset, EXACT.minus(quantity), EXACT.minus(cost)),
    )


entries = st.builds(
    NewEntry,
    account=st.just(ACCOUNT),
    kind=st.sampled_from(EntryKind),
    effective_at=moments,
    reference=references,
    postings=st.lists(legs(), min_size=1, max_size=3).map(lambda pairs: tuple(leg for pair in pairs for leg in pair)),
)
heads = st.builds(
    AccountHead,
    ref=st.just(ACCOUNT),
    mode=st.just(AccountMode.CROSS),
    status=st.just(AccountStatus.OPEN),
    sequence=st.integers(0, 2**40),
    chain_hash=st.binary(min_size=32, max_size=32),
)
