"""The composition root: builds everything and wires it. Nothing else does."""

from crossmargin.app.databases import EMBEDDED_LOGIN
from crossmargin.app.ledger import ProjectionReport, anchor_public_key, rebuild_projections, verify_ledger
from crossmargin.app.migrating import database_gaps, migrate
from crossmargin.app.ports import Ports, postgres_ports, store_shipped_parameters
from crossmargin.app.serving import serve
from crossmargin.app.start_error import StartError
from crossmargin.app.use_cases import build_use_cases

__all__ = [
    "EMBEDDED_LOGIN",
    "Ports",
    "ProjectionReport",
    "StartError",
    "anchor_public_key",
    "build_use_cases",
    "database_gaps",
    "migrate",
    "postgres_ports",
    "rebuild_projections",
    "serve",
    "store_shipped_parameters",
    "verify_ledger",
]
