"""Clients, accounts and instruments are created once, and a name is never taken over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crossmargin.domain.account import Account, AccountMode, Client
from crossmargin.domain.errors import Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, InstrumentId
from crossmargin.domain.instrument import Stablecoin
from tests.unit.usecases.house import BITCOIN, CORE, DOLLARS, EUROS, PERPETUAL, an_fx_forward
from tests.unit.usecases.refusals import refused

SATELLITE = Account(AccountRef(CORE.client_id, AccountId("satellite")), "Satellite", AccountMode.ISOLATED, CORE.account_id)


async def test_a_client_is_created_once_and_found(house):
    client = Client(ClientId("beta"), "Beta")
    for _ in range(2):
        assert await house.use_cases.create_client(client, caller=house.caller()) == client
    assert await house.ports.books.get_client(client.client_id) == client


async def test_the_name_of_a_client_is_not_taken_over(house):
    await refused(house.use_cases.create_client(Client(CORE.client_id, "Impostor"), caller=house.caller()), Reason.ALREADY_EXISTS)


async def test_a_request_id_is_not_used_again_for_another_client(house):
    caller = house.caller("again")
    await house.use_cases.create_client(Client(ClientId("beta"), "Beta"), caller=caller)
    await refused(house.use_cases.create_client(Client(ClientId("gamma"), "Gamma"), caller=caller), Reason.REQUEST_ID_REUSED)


async def test_an_account_is_created_once_and_starts_at_sequence_zero(house):
    account = Account(AccountRef(CORE.client_id, AccountId("second")), "Second", AccountMode.CROSS)
    for _ in range(2):
        assert await house.use_cases.create_account(account, caller=house.caller()) == account
    state = await house.ports.books.account_state(account.ref)
    assert (state.account, state.head.sequence, state.positions) == (account, 0, ())


async def test_creating_an_account_again_does_not_reset_it(house):
    await house.deposit("100")
    await house.open_account("core")
    assert (await house.ports.books.account_state(CORE)).head.sequence == 1


async def test_the_name_of_an_account_is_not_taken_over(house):
    other = Account(CORE, "Other name", AccountMode.CROSS)
    await refused(house.use_cases.create_account(other, caller=house.caller()), Reason.ALREADY_EXISTS)


async def test_an_account_of_an_unknown_client_is_refused(house):
    stranger = Account(AccountRef(ClientId("stranger"), AccountId("core")), "Core", AccountMode.CROSS)
    await refused(house.use_cases.create_account(stranger, caller=house.caller()), Reason.UNKNOWN_CLIENT)


async def test_an_isolated_account_hangs_from_a_cross_account_of_the_same_client(house):
    assert await house.use_cases.create_account(SATELLITE, caller=house.caller()) == SATELLITE
    nested = replace(SATELLITE, ref=AccountRef(CORE.client_id, AccountId("nested")), parent=SATELLITE.ref.account_id)
    error = await refused(house.use_cases.create_account(nested, caller=house.caller()), Reason.INVALID_ARGUMENT)
    assert error.facts["parent"] == str(SATELLITE.ref)


async def test_a_parent_that_does_not_exist_or_is_another_clients_is_refused(house):
    orphan = replace(SATELLITE, parent=AccountId("nothing"))
    await refused(house.use_cases.create_account(orphan, caller=house.caller()), Reason.UNKNOWN_ACCOUNT)
    await house.open_account("theirs", client="beta")
    foreign = replace(SATELLITE, parent=AccountId("theirs"))
    await refused(house.use_cases.create_account(foreign, caller=house.caller()), Reason.UNKNOWN_ACCOUNT)


async def test_an_instrument_is_created_once_and_found(house):
    for _ in range(2):
        assert await house.use_cases.create_instrument(EUROS, caller=house.caller()) == EUROS
    assert await house.ports.instruments.get_instruments([EUROS.instrument_id]) == {EUROS.instrument_id: EUROS}


@pytest.mark.parametrize("change", [{"quantity_places": 3}, {"collateral_class": None}, {"terms": Stablecoin("USD", "X")}])
async def test_the_name_of_an_instrument_is_not_taken_over(house, change):
    await refused(house.use_cases.create_instrument(replace(DOLLARS, **change), caller=house.caller()), Reason.ALREADY_EXISTS)


async def test_an_instrument_needs_what_it_settles_in_first(empty_house):
    create = empty_house.use_cases.create_instrument
    error = await refused(create(PERPETUAL, caller=empty_house.caller()), Reason.UNKNOWN_INSTRUMENT)
    assert error.facts["instrument"] == "USD"
    await create(DOLLARS, caller=empty_house.caller())
    assert await create(PERPETUAL, caller=empty_house.caller()) == PERPETUAL


async def test_an_instrument_settles_in_an_asset_and_not_in_a_contract(house):
    terms = replace(PERPETUAL.terms, settlement=PERPETUAL.instrument_id)
    nested = replace(PERPETUAL, instrument_id=InstrumentId("NESTED"), terms=terms)
    error = await refused(house.use_cases.create_instrument(nested, caller=house.caller()), Reason.INVALID_INSTRUMENT)
    assert error.facts["value"] == "BTC-PERP"


async def test_an_fx_forward_exchanges_money_and_not_coins(house):
    await house.use_cases.create_instrument(EUROS, caller=house.caller())
    assert await house.use_cases.create_instrument(an_fx_forward(), caller=house.caller()) == an_fx_forward()
    coins = replace(an_fx_forward(bought=BITCOIN.instrument_id), instrument_id=InstrumentId("COINS"))
    await refused(house.use_cases.create_instrument(coins, caller=house.caller()), Reason.INVALID_INSTRUMENT)
    missing = replace(an_fx_forward(bought="GBP"), instrument_id=InstrumentId("POUNDS"))
    await refused(house.use_cases.create_instrument(missing, caller=house.caller()), Reason.UNKNOWN_INSTRUMENT)
