"""A statement checks itself, and has a name that follows from what it says."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, InstrumentId
from crossmargin.domain.reconciliation import BreakKind, HeldThen, Statement, StatementLine, compare
from tests.builders import AS_OF

CORE, FUND = (AccountRef(ClientId("alpha"), AccountId(name)) for name in ("core", "fund"))
USD, EUR = InstrumentId("USD"), InstrumentId("EUR")
LINE = StatementLine(CORE, USD, Decimal(5), Decimal(5), "ref")
STATEMENT = Statement("bank-1", AS_OF, (LINE,))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "Bank"}, "expected 1 to 63 of a-z"),
        ({"tolerance": Decimal(-1)}, "expected zero or more"),
        ({"lines": ()}, "names no account"),
        ({"lines": (LINE, replace(LINE, quantity=Decimal(6)))}, "line 2 is the second about USD of clients/alpha/accounts/core"),
        ({"instruments": (EUR,)}, "line 1 is about USD, which is none of the instruments"),
        ({"lines": tuple(StatementLine(CORE, InstrumentId(f"X{n}"), Decimal(1)) for n in range(5001))}, "expected at most 5000"),
    ],
)
def test_what_is_no_statement_is_refused_with_the_line(changes, words):
    values = {"source": "bank-1", "as_of": AS_OF, "lines": (LINE,), "accounts": (), "instruments": (), "tolerance": Decimal(0)}
    if changes.get("lines") != ():
        values["accounts"] = (CORE,)
    with pytest.raises(DomainError, match=words) as refused:
        Statement(**values | changes)
    assert refused.value.reason is Reason.INVALID_STATEMENT


CHANGES = {
    "source": {"source": "bank-2"},
    "as_of": {"as_of": AS_OF.replace(microsecond=1)},
    "quantity": {"lines": (replace(LINE, quantity=Decimal(6)),)},
    "value": {"lines": (replace(LINE, value=None),)},
    "reference": {"lines": (replace(LINE, external_reference=""),)},
    "instrument": {"lines": (replace(LINE, instrument_id=EUR),)},
    "accounts": {"accounts": (FUND,)},
    "instruments": {"instruments": (USD,)},
    "tolerance": {"tolerance": Decimal(1)},
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_content_has_another_name(name):
    assert replace(STATEMENT, **CHANGES[name]).statement_id != STATEMENT.statement_id


def test_the_order_of_lines_and_accounts_is_no_content():
    other = StatementLine(FUND, USD, Decimal(1))
    first = Statement("bank-1", AS_OF, (LINE, other))
    assert Statement("bank-1", AS_OF, (other, LINE), (FUND, CORE)).statement_id == first.statement_id
    assert first.accounts == (CORE, FUND)


@pytest.mark.parametrize(
    ("stated", "held", "tolerance", "kind"),
    [
        ("5", "5", "0", None),
        ("0", "0", "0", None),
        ("5", "0", "0", BreakKind.MISSING_HERE),
        (None, "5", "0", BreakKind.MISSING_THERE),
        ("0", "5", "0", BreakKind.MISSING_THERE),
        ("5", "-5", "0", BreakKind.QUANTITY_DIFFERS),
        ("5.000000000000000001", "5", "0", BreakKind.QUANTITY_DIFFERS),
        ("6", "5", "1", None),
        ("6.1", "5", "1", BreakKind.QUANTITY_DIFFERS),
        (None, "1", "1", None),
    ],
)
def test_how_two_quantities_part(stated, held, tolerance, kind):
    lines = () if stated is None else (StatementLine(CORE, USD, Decimal(stated)),)
    statement = Statement("bank-1", AS_OF, lines, (CORE,), tolerance=Decimal(tolerance))
    (compared,) = compare(statement, {CORE: HeldThen(1, {USD: Decimal(held)})})
    assert compared.kind is kind
