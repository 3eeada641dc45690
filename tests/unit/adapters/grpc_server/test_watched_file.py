"""A file is read again when it has changed, and one that cannot be read changes nothing."""

from __future__ import annotations

import pytest

from crossmargin.adapters.grpc_server.allow_list import parse_allow_list
from crossmargin.adapters.grpc_server.watched_file import LOOK_EVERY_S, WatchedFile
from crossmargin.domain.client_scope import WHOLE_HOUSE, ClientScope
from crossmargin.domain.identifiers import ClientId, SourceId
from crossmargin.domain.role import Role
from crossmargin.domain.source_scope import EVERY_SOURCE, NO_SOURCE, SourceScope


class Timer:
    """Seconds that pass when told to."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def replace_by(path, content: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)


def test_it_is_looked_at_once_a_second_and_read_when_it_has_changed(tmp_path):
    path, timer, read = tmp_path / "number", Timer(), []
    path.write_bytes(b"1")

    def parse(raw: bytes) -> int:
        read.append(raw)
        return int(raw)

    watched = WatchedFile(path, parse, monotonic=timer)
    replace_by(path, b"2")
    assert watched.value == 1
    timer.seconds += LOOK_EVERY_S
    assert (watched.value, watched.value) == (2, 2)
    timer.seconds += LOOK_EVERY_S
    assert watched.value == 2
    assert read == [b"1", b"2"]


@pytest.mark.parametrize("how", ["garbage", "gone"])
def test_what_cannot_be_read_leaves_what_was_there_before_until_it_can(tmp_path, how):
    path, timer = tmp_path / "number", Timer()
    path.write_bytes(b"1")
    watched = WatchedFile(path, int, monotonic=timer)
    if how == "gone":
        path.unlink()
    else:
        replace_by(path, b"one")
    timer.seconds += LOOK_EVERY_S
    assert watched.value == 1
    replace_by(path, b"3")
    timer.seconds += LOOK_EVERY_S
    assert watched.value == 3


def test_at_the_start_it_has_to_be_right(tmp_path):
    with pytest.raises(OSError):
        WatchedFile(tmp_path / "nowhere", int)
    (tmp_path / "number").write_bytes(b"one")
    with pytest.raises(ValueError):
        WatchedFile(tmp_path / "number", int)


def test_an_allow_list_says_who_may_be_what_and_who_was_revoked():
    found = parse_allow_list(
        b'[workloads."spiffe://a/oms"]\nroles = ["trader"]\nclients = ["alpha"]\n'
        b'[workloads."spiffe://a/desk"]\nroles = ["risk", "auditor"]\nclients = "*"\n'
        b'[workloads."spiffe://a/feed"]\nroles = ["publisher"]\nclients = []\nsources = ["exchange-a"]\n'
        b'[workloads."spiffe://a/market"]\nroles = ["publisher"]\nclients = []\nsources = "*"\n'
        b'[revoked]\nprincipals = ["mallory"]\ntokens = ["t1"]\n'
    )
    assert found.workloads["spiffe://a/oms"].scope == ClientScope(frozenset({ClientId("alpha")}))
    assert found.workloads["spiffe://a/desk"].roles == {Role.RISK, Role.AUDITOR}
    assert found.workloads["spiffe://a/desk"].scope == WHOLE_HOUSE
    assert found.workloads["spiffe://a/desk"].sources == NO_SOURCE
    assert found.workloads["spiffe://a/feed"].sources == SourceScope(frozenset({SourceId("exchange-a")}))
    assert found.workloads["spiffe://a/market"].sources == EVERY_SOURCE
    assert (found.revoked_principals, found.revoked_tokens) == ({"mallory"}, {"t1"})
    assert parse_allow_list(b"").workloads == {}


@pytest.mark.parametrize(
    "text",
    [
        '[workloads."https://a/oms"]\nroles = ["trader"]\nclients = "*"',
        '[workloads."spiffe://a/oms"]\nroles = ["king"]\nclients = "*"',
        '[workloads."spiffe://a/oms"]\nroles = "trader"\nclients = "*"',
        '[workloads."spiffe://a/oms"]\nroles = ["trader"]\nclients = "alpha"',
        '[workloads."spiffe://a/oms"]\nroles = ["trader"]\nclients = ["Alpha"]',
        '[workloads."spiffe://a/oms"]\nroles = ["trader"]',
        '[workloads."spiffe://a/oms"]\nroles = ["publisher"]\nclients = []\nsources = "exchange-a"',
        '[workloads."spiffe://a/oms"]\nroles = ["publisher"]\nclients = []\nsources = ["Exchange A"]',
        '[workloads."spiffe://a/oms"]\nroles = ["publisher"]\nsources = "*"',
        '[workloads."spiffe://a/oms"]\nroles = ["trader"]\nclients = "*"\nclient = "alpha"',
        "[workload]",
        "[workloads",
    ],
)
def test_an_allow_list_that_says_what_cannot_be_is_refused(text):
    """A misspelt word must not let in more, or fewer, than somebody meant."""
    with pytest.raises(ValueError):
        parse_allow_list(text.encode())
