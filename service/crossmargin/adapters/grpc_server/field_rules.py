"""Broken field rules in words: which field, what it was, and what was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Final

from google.protobuf.message import Message
from protovalidate import FieldPathElementPb, Validator, Violation

from crossmargin.domain.errors import DomainError, Reason

LONGEST_SHOWN: Final = 60

_LOWER: Final = "[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
_UPPER: Final = "[A-Z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?"
_UNSIGNED: Final = r"(0|[1-9][0-9]{0,19})(\.[0-9]{1,18})?"
_LOWER_WORDS: Final = "1 to 63 of a-z, 0-9 and '-', starting with a letter, not ending with '-'"
_UPPER_WORDS: Final = "1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', starting with a capital or digit, ending with a letter or digit"
_ACCOUNT_WORDS: Final = "clients/{client}/accounts/{account}, such as clients/alpha/accounts/core"
_DECIMAL_WORDS: Final = "a plain ASCII decimal with at most 20 digits before and 18 after the point, such as -1250.75"

_AMOUNT_WORDS: Final = "a plain ASCII decimal, zero or more, with at most 20 digits before and 18 after the point, such as 250000"

PATTERN_WORDS: Final[Mapping[str, str]] = {
    f"^{_LOWER}$": _LOWER_WORDS,
    f"^({_LOWER})?$": f"nothing, or {_LOWER_WORDS}",
    f"^clients/{_LOWER}/accounts/{_LOWER}$": _ACCOUNT_WORDS,
    f"^(clients/{_LOWER}/accounts/{_LOWER})?$": f"nothing, or {_ACCOUNT_WORDS}",
    f"^clients/{_LOWER}(/accounts/{_LOWER})?$": "clients/{client} or clients/{client}/accounts/{account}, such as clients/alpha",
    f"^(clients/{_LOWER}(/accounts/{_LOWER})?)?$": "nothing, or clients/{client} or clients/{client}/accounts/{account}",
    "^([01][0-9]|2[0-3]):[0-5][0-9]$": "a time of day in UTC such as 14:30",
    f"^{_UPPER}$": _UPPER_WORDS,
    f"^({_UPPER})?$": f"nothing, or {_UPPER_WORDS}",
    f"^-?{_UNSIGNED}$": _DECIMAL_WORDS,
    f"^(-?{_UNSIGNED})?$": f"nothing, or {_DECIMAL_WORDS}",
    f"^{_UNSIGNED}$": "a plain ASCII decimal above zero with at most 20 digits before and 18 after the point, such as 0.01",
    f"^({_UNSIGNED})?$": f"nothing, or {_AMOUNT_WORDS}",
    r"^0(\.[0-9]{1,18})?$": "a fraction from 0 to below 1 with at most 18 places, such as 0.0425",
    r"^((0|[1-9][0-9]{0,2})(\.[0-9]{1,18})?)?$": "nothing, or a decimal fraction above zero, such as 0.01",
    "^([A-Z0-9][A-Za-z0-9._-]{0,63})?$": "nothing, or an issuer or a rating such as IG-A",
    "^[!-~]{1,128}$": "1 to 128 printable ASCII characters without spaces, such as a UUID",
    "^[!-~]{0,128}$": "at most 128 printable ASCII characters without spaces",
    "^[ -~]{1,128}$": "1 to 128 printable ASCII characters",
    "^[ -~]{0,128}$": "at most 128 printable ASCII characters",
    "^[A-Z]{3}$": "an ISO 4217 code such as USD",
    "^[0-9a-f]{32}$": "32 lower-case hexadecimal digits",
    "^([0-9a-f]{32})?$": "nothing, or 32 lower-case hexadecimal digits",
    "^[0-9a-f]{16}$": "16 lower-case hexadecimal digits",
    "^([0-9a-f]{16})?$": "nothing, or 16 lower-case hexadecimal digits",
    "^(spot|fx|zero|vol|basis|spread|price):[A-Z0-9][A-Za-z0-9._-]{0,63}(:[1-9][0-9]{0,2}[DWMY])?$": (
        "a risk factor such as spot:BTC, fx:EUR, zero:USD:2Y, vol:BTC:1M, basis:BTC:3M, spread:IG-A:5Y or price:WTI:1M"
    ),
    "^(zero|vol|basis|spread|price):[A-Z0-9][A-Za-z0-9._-]{0,63}$": "a curve such as zero:USD, vol:BTC, spread:IG-A or price:WTI",
}
"""What the patterns in the protos mean. A test finds every pattern of the protos here."""

_UNSPECIFIED_WORDS: Final = "one of the values of its enum other than UNSPECIFIED"
_RULE_WORDS: Final[Mapping[str, str]] = {
    "enum.not_in": _UNSPECIFIED_WORDS,
    "enum.defined_only": _UNSPECIFIED_WORDS,
    "repeated.min_items": "at least {}",
    "repeated.max_items": "at most {}",
    "map.min_pairs": "at least {}",
    "map.max_pairs": "at most {}",
    "int32.in": "one of {}",
}


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """One field that breaks a rule.

    Attributes:
        path: Where it is, such as trades[3].quantity.
        value: What it was, cut to 60 characters; empty for a field that is missing.
        expected: What it should have been.
    """

    path: str
    value: str
    expected: str

    @property
    def sentence(self) -> str:
        """The path, what was there and what was expected."""
        was = f"was {self.value}" if self.value else "is missing"
        return f"{self.path} {was}; expected {self.expected}"


class BrokenRulesError(DomainError):
    """A part of a request, such as one trade of a batch, breaks field rules; `rules` are those it breaks."""

    def __init__(self, rules: Sequence[BrokenRule]) -> None:
        first, more = rules[0], len(rules) - 1
        sentence = first.sentence + (f"; and {more} more" if more else "")
        super().__init__(Reason.INVALID_ARGUMENT, sentence, field=first.path, value=first.value, expected=first.expected)
        self.rules = tuple(rules)


def rules_broken_by(message: Message, validator: Validator, *, what: str) -> BrokenRulesError | None:
    """Return the error for a part of a request that breaks field rules, or None; `what` is where it is, such as trades[3]."""
    broken = [broken_rule(violation) for violation in validator.collect_violations(message)]
    return BrokenRulesError([replace(rule, path=f"{what}.{rule.path}") for rule in broken]) if broken else None


def broken_rule(violation: Violation) -> BrokenRule:
    """Return a violation in words."""
    found = violation.proto
    path = "".join(map(_step, found.field.elements if found.field else ())).removeprefix(".")
    was = "" if found.rule_id == "required" else _shown(violation.field_value)
    return BrokenRule(f"key of {path}" if found.for_key else path, was, _expected(found.rule_id, found.message, violation.rule_value))


def shortened(text: str) -> str:
    """Return a text cut to 60 characters, the last of them an ellipsis when something is missing."""
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


def _step(element: FieldPathElementPb) -> str:
    if element.subscript is None:
        return f".{element.field_name}"
    key = element.subscript.value
    return f".{element.field_name}[{key if isinstance(key, int) else shortened(str(key))}]"


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(shortened(value))
    return f"{len(value)} items" if isinstance(value, Sized) else shortened(str(value))


def _expected(rule: str, sentence: str, limit: object) -> str:
    if rule == "string.pattern":
        return PATTERN_WORDS.get(str(limit), f"a match of {limit}")
    if rule == "required":
        return "exactly one of its fields" if "oneof" in sentence else "a value"
    if rule in _RULE_WORDS:
        return _RULE_WORDS[rule].format(str(limit).strip("[]"))
    # The rule's own sentence, such as "must be at most 200 characters".
    return sentence.removeprefix("must be ")
