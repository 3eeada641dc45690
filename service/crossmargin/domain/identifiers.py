"""One type for each kind of name, so that a client id is never passed where an account id belongs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from crossmargin.domain.errors import DomainError, Reason

LEDGER_STREET: Final = "street"
LEDGER_CUSTODIAN: Final = "custodian"
LEDGER_HOUSE: Final = "house"
RESERVED_ACCOUNTS: Final = frozenset({LEDGER_STREET, LEDGER_CUSTODIAN, LEDGER_HOUSE})


class _Identifier(str):
    """A string of a fixed grammar, checked when built."""

    __slots__ = ()
    noun: ClassVar[str]
    grammar: ClassVar[re.Pattern[str]]
    words: ClassVar[str]

    def __new__(cls, text: str) -> Self:
        if not cls.grammar.fullmatch(text):
            raise DomainError(
                Reason.INVALID_IDENTIFIER,
                f"{cls.noun} id was {text[:80]!r}; expected {cls.words}",
                noun=cls.noun,
                value=text[:80],
                expected=cls.words,
            )
        return super().__new__(cls, text)


_LOWER: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_LOWER_WORDS: Final = "1 to 63 of a-z, 0-9 and '-', starting with a letter, not ending with '-'"
_UPPER: Final = re.compile(r"[A-Z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", re.ASCII)
_UPPER_WORDS: Final = "1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', starting with a capital or digit"


class ClientId(_Identifier):
    """An institution that owns accounts."""

    noun, grammar, words = "client", _LOWER, _LOWER_WORDS


class AccountId(_Identifier):
    """One netting set of a client; unique within the client."""

    noun, grammar, words = "account", _LOWER, _LOWER_WORDS


class BookId(_Identifier):
    """A desk or strategy label inside an account; it changes no requirement."""

    noun, grammar, words = "book", _LOWER, _LOWER_WORDS


class InstrumentId(_Identifier):
    """Anything that can be held: USD, BTC, BTC-USD-PERP, UST-2.5-2031-05-15."""

    noun, grammar, words = "instrument", _UPPER, _UPPER_WORDS


BASE_CURRENCY: Final = InstrumentId("USD")
"""What every amount of a margin is in: the currency, and the money of it that is held."""


class OffsetGroupId(_Identifier):
    """An economic underlying inside which profits and losses offset in full."""

    noun, grammar, words = "offset group", _UPPER, _UPPER_WORDS


class RiskParameterSetId(_Identifier):
    """A version of the risk parameters, for example `standard-1`."""

    noun, grammar, words = "risk parameter set", _LOWER, _LOWER_WORDS


class SourceId(_Identifier):
    """A publisher's feed of quotes, for example `exchange-a`."""

    noun, grammar, words = "quote source", _LOWER, _LOWER_WORDS


class SnapshotId(_Identifier):
    """A market snapshot; derived from its content, so equal content has an equal id."""

    noun = "market snapshot"
    grammar = re.compile(r"[0-9a-f]{32}", re.ASCII)
    words = "32 lower-case hexadecimal digits"


class HouseViewId(_Identifier):
    """Totals over all accounts; derived from their content, so equal content has an equal id."""

    noun = "house view"
    grammar = re.compile(r"[0-9a-f]{32}", re.ASCII)
    words = "32 lower-case hexadecimal digits"


class PendingRequestId(_Identifier):
    """Something that waits for a second person; derived from who asked, for what call and under which request id."""

    noun = "pending request"
    grammar = re.compile(r"[0-9a-f]{16}", re.ASCII)
    words = "16 lower-case hexadecimal digits"


@dataclass(frozen=True, order=True, slots=True)
class AccountRef:
    """The full name of an account. Accounts are locked in the order of this type."""

    client_id: ClientId
    account_id: AccountId

    @classmethod
    def parse(cls, text: str) -> AccountRef:
        """Return the account that a full name such as `clients/alpha/accounts/core` names; INVALID_IDENTIFIER for any other form."""
        match text.split("/"):
            case ["clients", client_id, "accounts", account_id]:
                return cls(ClientId(client_id), AccountId(account_id))
        expected = "clients/{client}/accounts/{account}"
        raise DomainError(
            Reason.INVALID_IDENTIFIER,
            f"account name was {text[:160]!r}; expected {expected}",
            noun="account name",
            value=text[:160],
            expected=expected,
        )

    def __str__(self) -> str:
        return f"clients/{self.client_id}/accounts/{self.account_id}"
