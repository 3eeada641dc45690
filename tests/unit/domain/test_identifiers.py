"""Names are of one grammar each, and nothing that merely looks like a name passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import (
    AccountId,
    AccountRef,
    BookId,
    ClientId,
    InstrumentId,
    OffsetGroupId,
    RiskParameterSetId,
    SnapshotId,
)

LOWER_KINDS = (ClientId, AccountId, BookId, RiskParameterSetId)
UPPER_KINDS = (InstrumentId, OffsetGroupId)


def refusal(build, *arguments):
    with pytest.raises(DomainError) as caught:
        build(*arguments)
    assert caught.value.reason is Reason.INVALID_IDENTIFIER
    return caught.value


@pytest.mark.parametrize("kind", LOWER_KINDS)
@pytest.mark.parametrize("text", ["a", "alpha", "a1", "a-1", "a--b", "a" * 63])
def test_a_lower_case_name_of_1_to_63_characters_is_accepted(kind, text):
    assert kind(text) == text


@pytest.mark.parametrize("kind", LOWER_KINDS)
@pytest.mark.parametrize("text", ["", "a" * 64, "1a", "-a", "a-", "A", "aB", "a_b", "a.b", "a b", " a", "a ", "a\n", "a/b", "a\x00"])
def test_a_lower_case_name_outside_its_grammar_is_refused(kind, text):
    error = refusal(kind, text)
    assert error.facts["noun"] == kind.noun
    assert kind.noun in error.message


@pytest.mark.parametrize("kind", UPPER_KINDS)
@pytest.mark.parametrize("text", ["B", "1", "BTC", "BTC-USD-PERP", "UST-2.5-2031-05-15", "stETH".replace("s", "S"), "A" + "b" * 63, "A_b"])
def test_an_instrument_name_of_1_to_64_characters_is_accepted(kind, text):
    assert kind(text) == text


@pytest.mark.parametrize("kind", UPPER_KINDS)
@pytest.mark.parametrize("text", ["", "A" * 65, "btc", "-BTC", ".BTC", "BTC-", "BTC.", "BTC_", "BTC USD", "BTC/USD", "BTC\n", "BTC:USD"])
def test_an_instrument_name_outside_its_grammar_is_refused(kind, text):
    refusal(kind, text)


@pytest.mark.parametrize("text", ["аlpha", "alphа", "ａlpha", "alpha１", "alpha٣", "alphaé", "ﬁ", "alpha\u200b"])
def test_letters_and_digits_of_other_scripts_that_look_alike_are_refused(text):
    """Cyrillic a, full-width letters and digits, Arabic digits, accents, ligatures, zero-width space."""
    refusal(ClientId, text)
    refusal(InstrumentId, "A" + text)


@pytest.mark.parametrize("text", ["0" * 31, "0" * 33, "G" + "0" * 31, "A" * 32, "٠" * 32, "0" * 32 + "\n"])
def test_a_snapshot_id_is_exactly_32_lower_case_hexadecimal_digits(text):
    assert SnapshotId("0123456789abcdef" * 2) == "0123456789abcdef" * 2
    refusal(SnapshotId, text)


def test_a_long_refused_name_is_shown_in_part_only():
    assert len(refusal(ClientId, "A" * 10_000).message) < 300


@pytest.mark.parametrize("kind", [*LOWER_KINDS, *UPPER_KINDS])
def test_each_kind_of_name_is_a_type_of_its_own(kind):
    name = kind("a") if kind in LOWER_KINDS else kind("A")
    assert [other for other in (*LOWER_KINDS, *UPPER_KINDS, SnapshotId) if isinstance(name, other)] == [kind]


def test_an_account_reads_back_from_its_full_name():
    ref = AccountRef(ClientId("alpha"), AccountId("core"))
    assert str(ref) == "clients/alpha/accounts/core"
    assert AccountRef.parse(str(ref)) == ref


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alpha/core",
        "clients/alpha",
        "clients/alpha/accounts",
        "clients/alpha/accounts/",
        "clients//accounts/core",
        "/clients/alpha/accounts/core",
        "clients/alpha/accounts/core/",
        "clients/alpha/books/core",
        "clients/Alpha/accounts/core",
        "clients/alpha/accounts/core/extra",
    ],
)
def test_any_other_form_of_an_account_name_is_refused(text):
    refusal(AccountRef.parse, text)


def test_accounts_are_ordered_by_client_and_then_by_account():
    names = [("b", "a"), ("a", "z"), ("a", "b"), ("a-a", "a")]
    ordered = sorted(AccountRef(ClientId(client), AccountId(account)) for client, account in names)
    assert [(ref.client_id, ref.account_id) for ref in ordered] == [("a", "b"), ("a", "z"), ("a-a", "a"), ("b", "a")]


@given(client=st.from_regex(ClientId.grammar, fullmatch=True), account=st.from_regex(AccountId.grammar, fullmatch=True))
def test_every_account_that_can_be_named_reads_back(client, account):
    ref = AccountRef(ClientId(client), AccountId(account))
    assert AccountRef.parse(str(ref)) == ref
