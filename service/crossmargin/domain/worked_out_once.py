"""Objects whose values are worked out when somebody first asks for them, and that go to other processes meanwhile."""

from __future__ import annotations


class WorkedOutOnce:
    """Of an object that many share, and that keeps what is asked of it (`functools.cached_property`).

    It goes to another process as it is at one moment. A pickle of the object's own dictionary would fail when somebody is the first to ask
    for another value while it is written.
    """

    def __getstate__(self) -> dict[str, object]:
        """Return a copy of what the object holds, made at once."""
        return dict(self.__dict__)
