"""The ledger as auditors and those on call look at it: keys, verification, projections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from crossmargin.adapters.postgres.anchors import PostgresAnchorStore
from crossmargin.adapters.postgres.ledger_view import PostgresLedgerView
from crossmargin.adapters.postgres.projections import PostgresProjections
from crossmargin.adapters.postgres.server_checks import DatabaseRefusedError
from crossmargin.adapters.runtime.anchor_file import read_anchor_file
from crossmargin.adapters.runtime.anchor_keys import (
    AnchorKeyError,
    AnchorKeyring,
    load_anchor_key,
    load_anchor_keyring,
)
from crossmargin.adapters.runtime.ledger_log import log_repair
from crossmargin.app.databases import open_database, running_database_url
from crossmargin.app.start_error import StartError
from crossmargin.config import Settings
from crossmargin.domain.projection import ProjectionDifference
from crossmargin.usecases.rebuild_projections import RebuildProjections
from crossmargin.usecases.verify_ledger import LedgerVerdict, Report, VerifyLedger


def anchor_public_key(settings: Settings) -> str:
    """Return the public half of the key that signs anchors, in PEM: what an auditor is given.

    Raises:
        StartError: There is no key.
    """
    path = settings.anchor_key_file or settings.embedded_anchor_key_file
    try:
        return load_anchor_key(path).public_pem
    except AnchorKeyError as error:
        raise StartError(str(error)) from error


def verify_ledger(settings: Settings, *, anchor_file: Path | None, public_keys: Sequence[Path], report: Report) -> LedgerVerdict:
    """Verify everything that is stored of the ledger, as of now; the service may go on meanwhile.

    Args:
        settings: Where the database is, and the service's own key and file of anchors.
        anchor_file: Anchors that were kept outside the database; the service's own file unless one is named, if it is there.
        public_keys: To check signatures with; the public half of the service's own key unless some are named, if it is there.
        report: Called with how many entries were looked at, and how many there are.

    Raises:
        StartError: The database, the file or a key cannot be read.
    """
    try:
        signatures = _anchor_keyring(settings, public_keys)
        anchors = _anchors_outside(settings, anchor_file)
        with running_database_url(settings) as url:
            return asyncio.run(_verify(url, signatures, anchors, report))
    except (AnchorKeyError, DatabaseRefusedError) as error:
        raise StartError(str(error)) from error
    except OSError as error:
        raise StartError(f"{error.filename} cannot be read: {error.strerror}") from error


async def _verify(url: str, signatures: AnchorKeyring | None, anchor_file: Path | None, report: Report) -> LedgerVerdict:
    async with PostgresLedgerView.open(url) as view:
        # The file is read after the view was opened, so that it is never behind what the view shows by more than an anchor under way.
        outside = read_anchor_file(anchor_file) if anchor_file is not None else None
        return await VerifyLedger(view, signatures, outside, report)()


def rebuild_projections(settings: Settings, *, may_repair: Callable[[Sequence[ProjectionDifference]], bool]) -> ProjectionReport:
    """Compare every projection with the ledger; rebuild what differs when `may_repair`, shown the differences, says so.

    Raises:
        StartError: The database cannot be used.
    """
    with running_database_url(settings) as url:
        owner_url = settings.migration_url.get_secret_value() if settings.migration_url is not None else url
        return asyncio.run(_rebuild_projections(settings, owner_url, may_repair))


@dataclass(frozen=True, slots=True)
class ProjectionReport:
    """What was found to differ, and how many rows of it were put right."""

    differences: Sequence[ProjectionDifference]
    repaired_count: int


async def _rebuild_projections(
    settings: Settings, url: str, may_repair: Callable[[Sequence[ProjectionDifference]], bool]
) -> ProjectionReport:
    async with open_database(settings, url) as database:
        rebuild = RebuildProjections(PostgresAnchorStore(database), PostgresProjections(database))
        differences = await rebuild.compare()
        repaired = await rebuild.repair(differences, log_repair) if differences and may_repair(differences) else 0
        return ProjectionReport(differences, repaired)


def _anchor_keyring(settings: Settings, public_keys: Sequence[Path]) -> AnchorKeyring | None:
    if public_keys:
        return load_anchor_keyring(public_keys)
    own = settings.anchor_key_file or (settings.embedded_anchor_key_file if settings.embedded else None)
    return load_anchor_key(own).keyring if own is not None and own.exists() else None


def _anchors_outside(settings: Settings, named: Path | None) -> Path | None:
    if named is not None:
        named.open("rb").close()
        return named
    own = settings.anchor_journal
    return own if own is not None and own.exists() else None
