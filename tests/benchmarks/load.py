"""Reading every account of a house, as a monitor does when it starts, beside `psql COPY BINARY` of the table and its rows by an ORM."""

from __future__ import annotations

import asyncio
import subprocess
from decimal import Decimal
from typing import Final

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from crossmargin.adapters.postgres.books import PostgresBookReader
from crossmargin.adapters.postgres.database import Database
from crossmargin.engine.portfolio_arrays import units_and_costs
from crossmargin.usecases.evaluate_margin import packed_portfolio
from crossmargin.usecases.read_states import read_states
from tests.benchmarks.furniture import Furniture
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, in_turn, seconds
from tests.benchmarks.opponents.pgbench import binary
from tests.benchmarks.service_rig import bench_postgres, database_of

POSITIONS, QUICK_POSITIONS, EACH = 1_000_000, 100_000, 200
ROUNDS: Final = 3
FILL: Final = (
    "INSERT INTO client (client_id, display_name) SELECT 'load' || n, 'Load' FROM generate_series(1, {accounts}) AS n",
    """
    INSERT INTO account (client_id, account_id, display_name, mode)
    SELECT 'load' || n, 'core', 'Core', 'cross' FROM generate_series(1, {accounts}) AS n
    """,
    """
    INSERT INTO account_head (client_id, account_id, mode, status, sequence, chain_hash)
    SELECT 'load' || n, 'core', 'cross', 'open', 1, decode(repeat('00', 32), 'hex') FROM generate_series(1, {accounts}) AS n
    """,
    """
    INSERT INTO position (client_id, account_id, book_id, instrument_id, quantity, cost)
    SELECT 'load' || n, 'core', 'main', 'P' || lpad(p::text, 5, '0'), 1 + p % 7, 60000.5
    FROM generate_series(1, {accounts}) AS n, generate_series(0, {each} - 1) AS p
    """,
)


class _Base(DeclarativeBase):
    pass


class _Position(_Base):
    __tablename__ = "position"
    client_id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(primary_key=True)
    book_id: Mapped[str] = mapped_column(primary_key=True)
    instrument_id: Mapped[str] = mapped_column(primary_key=True)
    quantity: Mapped[Decimal]
    cost: Mapped[Decimal]


def run(plan: Plan) -> list[Measured]:
    """Return the rows against COPY BINARY and an ORM."""
    postgres, _ = bench_postgres()
    positions = QUICK_POSITIONS if plan.is_quick else POSITIONS
    name = database_of(Furniture(EACH))
    for statement in FILL:
        postgres.execute(statement.format(accounts=positions // EACH, each=EACH), name)
    postgres.execute("VACUUM ANALYZE", name)
    url, few = postgres.url_of(name), Plan(min(plan.rounds, ROUNDS), plan.is_quick)

    def ours() -> float:
        return seconds(lambda: asyncio.run(_read_all(postgres.service_url_of(name))))

    sides = (
        ("psql COPY BINARY out", Goal(Ratio.COST, 1.3), lambda: _copy(url)),
        ("the rows by SQLAlchemy's ORM", Goal(Ratio.SPEED, 8.0), lambda: _by_orm(url)),
    )
    path = f"start with {positions:,} positions of {positions // EACH:,} accounts"
    note = "ours ends with what each account holds, behind the walls: its digits as they are written, and the arrays that it is margined by"
    rows = [
        in_turn(path, against, goal, ours=ours, theirs=lambda theirs=theirs: seconds(theirs), plan=few, note=note)
        for against, goal, theirs in sides
    ]
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
    return rows


async def _read_all(url: str) -> None:
    database = Database(url)
    await database.open()
    try:
        books = PostgresBookReader(database)
        read = await read_states(books, sorted(await books.account_sequences()))
        for state in read.states.values():
            units_and_costs(packed_portfolio(state).holdings)
    finally:
        await database.close()


def _copy(url: str) -> None:
    words = [binary("psql"), url, "-q", "-c", "COPY position TO STDOUT (FORMAT binary)"]
    subprocess.run(words, stdout=subprocess.DEVNULL, check=True)


def _by_orm(url: str) -> None:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with Session(engine) as session:
        for _ in session.query(_Position).yield_per(10_000):
            pass
    engine.dispose()
