"""How long a client waits before it tries again."""

from __future__ import annotations

from itertools import pairwise

import pytest

from crossmargin_client.retries import backoff_s


def test_waits_double_up_to_a_limit():
    waits = [backoff_s(retry, draw=0.0) for retry in range(40)]
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert all(later >= earlier for earlier, later in pairwise(waits))
    assert waits[-1] == 5.0


@pytest.mark.parametrize("retry", [0, 3, 20])
def test_chance_shortens_a_wait_by_at_most_half(retry):
    longest = backoff_s(retry, draw=0.0)
    drawn = {backoff_s(retry) for _ in range(50)}
    assert len(drawn) > 1
    assert all(longest / 2 <= wait <= longest for wait in drawn)
