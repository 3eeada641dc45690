"""Labels and numbers in the text format that Prometheus reads."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Final

_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def label_text(labels: Mapping[str, str]) -> str:
    """Return labels as they stand behind a name, in the order of their own names; nothing for none.

    >>> label_text({"client": "alpha", "account": "core"})
    '{account="core",client="alpha"}'
    """
    if not labels:
        return ""
    pairs = ",".join(f'{name}="{labels[name].translate(_ESCAPES)}"' for name in sorted(labels))
    return f"{{{pairs}}}"


def number_text(value: float) -> str:
    """Return a value with every digit that it has.

    >>> number_text(0.1), number_text(inf)
    ('0.1', '+Inf')
    """
    # What is not finite differs from itself by something that is not zero.
    return repr(value) if value - value == 0 else _without_end(value)


def _without_end(value: float) -> str:
    if value == inf:
        return "+Inf"
    return "-Inf" if value == -inf else "NaN"
