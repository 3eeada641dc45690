"""Who may be called what, and which accounts may hang from which."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crossmargin.domain.account import GENESIS_HASH, Account, AccountHead, AccountMode, AccountStatus, Client
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import RESERVED_ACCOUNTS, AccountId, AccountRef, ClientId

CORE = AccountRef(ClientId("alpha"), AccountId("core"))
HEAD = AccountHead(CORE, AccountMode.CROSS, AccountStatus.OPEN, sequence=0, chain_hash=GENESIS_HASH)


def refusal(build):
    with pytest.raises(DomainError) as caught:
        build()
    assert caught.value.reason is Reason.INVALID_ARGUMENT
    return caught.value


@pytest.mark.parametrize("name", ["A", "Alpha Fund", "Ålpha 株式会社", "x" * 100])
def test_a_display_name_is_1_to_100_printable_characters(name):
    assert Client(ClientId("alpha"), name).display_name == name
    assert Account(CORE, name, AccountMode.CROSS).display_name == name


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", "a\tb", "a\x00b", "a\u200bb", "a\x1b[31mb"])
def test_an_empty_long_or_unprintable_display_name_is_refused(name):
    refusal(lambda: Client(ClientId("alpha"), name))
    refusal(lambda: Account(CORE, name, AccountMode.CROSS))


@pytest.mark.parametrize("name", sorted(RESERVED_ACCOUNTS))
def test_no_client_has_an_account_named_like_one_of_the_ledgers_own(name):
    """A posting to the street would otherwise be a position of the client's."""
    error = refusal(lambda: Account(AccountRef(ClientId("alpha"), AccountId(name)), "Mine", AccountMode.CROSS))
    assert error.facts["value"] == name


def test_the_ledgers_own_accounts_are_the_street_the_custodian_and_the_house():
    assert {"street", "custodian", "house"} == RESERVED_ACCOUNTS


def test_an_isolated_account_names_its_parent_and_a_cross_account_none():
    assert Account(CORE, "Core", AccountMode.CROSS).parent is None
    satellite = AccountRef(ClientId("alpha"), AccountId("satellite"))
    assert Account(satellite, "Satellite", AccountMode.ISOLATED, AccountId("core")).parent == "core"
    refusal(lambda: Account(satellite, "Satellite", AccountMode.ISOLATED))
    refusal(lambda: Account(satellite, "Satellite", AccountMode.CROSS, AccountId("core")))


def test_an_open_head_is_returned_and_a_closed_one_refuses():
    assert HEAD.check_open() is HEAD
    with pytest.raises(DomainError) as caught:
        replace(HEAD, status=AccountStatus.CLOSED).check_open()
    assert caught.value.reason is Reason.ACCOUNT_CLOSED
    assert caught.value.facts["account"] == "clients/alpha/accounts/core"
