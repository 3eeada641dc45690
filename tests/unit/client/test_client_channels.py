"""What a channel does about a service that is away, and about a line that is dead."""

from __future__ import annotations

from crossmargin.adapters.grpc_server import server
from crossmargin_client.channels import channel_options
from crossmargin_client.retries import MOST_ATTEMPTS, backoff_s


def test_retries_last_longer_than_a_channel_needs_to_find_a_service_that_is_back():
    """By default gRPC waits up to two minutes, the longer the service was away; it adds up to a fifth by chance."""
    shortest_s = sum(backoff_s(retry, draw=1.0) for retry in range(MOST_ATTEMPTS - 1))
    assert dict(channel_options())["grpc.max_reconnect_backoff_ms"] * 1.2 / 1000 < shortest_s


def test_a_dead_line_is_noticed_by_pings_that_the_service_allows():
    options, allowed = dict(channel_options()), dict(server._OPTIONS)
    assert options["grpc.keepalive_permit_without_calls"] == 1
    # Twice, because on a busy machine two pings may arrive close to one another, and the service hangs up on whoever pings too often.
    assert options["grpc.keepalive_time_ms"] > 2 * allowed["grpc.http2.min_recv_ping_interval_without_data_ms"]
    assert options["grpc.keepalive_time_ms"] + options["grpc.keepalive_timeout_ms"] <= 20_000


def test_no_ping_waits_longer_than_a_keepalive():
    """One that is under way when a keepalive is due is not followed by another, so its own limit counts, by default a minute."""
    for options in (dict(channel_options()), dict(server._OPTIONS)):
        assert options["grpc.http2.ping_timeout_ms"] == options["grpc.keepalive_timeout_ms"]
