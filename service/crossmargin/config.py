"""Settings of the service: flags over environment variables over defaults."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from crossmargin.domain.margin_history import HistoryTiers

SECRETS: Final = ("database_url", "migration_url")
WITHDRAWAL_ALONE_LIMIT: Final = Decimal(1_000_000)
WITHDRAWAL_WINDOW: Final = timedelta(hours=24)


def _host_and_port(address: str) -> str:
    host, separator, port = address.rpartition(":")
    if not separator or not host or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise ValueError(f"was {address!r}; expected HOST:PORT such as 127.0.0.1:50051, port 0 for any free one")
    return address


Address = Annotated[str, AfterValidator(_host_and_port)]


SECURITY_SETTINGS: Final = (
    "tls_cert_file",
    "tls_key_file",
    "tls_client_ca_file",
    "allow_list_file",
    "token_keys_file",
    "token_issuer",
    "token_audience",
)
"""All of them, or --insecure."""


class Settings(BaseSettings):
    """Every setting can be given as a flag (--grpc-address) or as an environment variable (CROSSMARGIN_GRPC_ADDRESS)."""

    model_config = SettingsConfigDict(env_prefix="CROSSMARGIN_", env_ignore_empty=True, frozen=True, extra="forbid")

    database_url: SecretStr | None = Field(default=None, description="PostgreSQL 15 to 18: postgresql://user@host/name. Or --embedded.")
    migration_url: SecretStr | None = Field(
        default=None, description="The same database as its owner, for migrate and rebuild-projections --repair. Default: database_url."
    )
    database_url_file: Path | None = Field(default=None, description="File that holds the database URL, instead of database_url.")
    migration_url_file: Path | None = Field(default=None, description="File that holds the migration URL, instead of migration_url.")
    embedded: bool = Field(default=False, description="Run a PostgreSQL server of our own in the data folder, and migrate it at start.")
    data_dir: Path = Field(default=Path(".crossmargin"), description="Where the embedded server keeps its data.")
    pg_bin: Path | None = Field(default=None, description="Folder with initdb and postgres to use instead of the installed package's.")
    grpc_address: Address = Field(default="127.0.0.1:50051", description="Where the gRPC service listens.")
    admin_address: Address = Field(default="127.0.0.1:9464", description="Where /metrics, /livez and /readyz listen.")
    insecure: bool = Field(default=False, description="Serve without TLS and without authentication. Refused anywhere but on loopback.")
    tls_cert_file: Path | None = Field(default=None, description="The server's certificate and chain in PEM; read again as it changes.")
    tls_key_file: Path | None = Field(default=None, description="The key of that certificate, in PEM, without a password.")
    tls_client_ca_file: Path | None = Field(default=None, description="Authorities, in PEM, that clients' certificates must come from.")
    allow_list_file: Path | None = Field(
        default=None, description="TOML: the SPIFFE ids that may call, with the roles and clients behind each, and who was revoked."
    )
    token_keys_file: Path | None = Field(default=None, description="Public keys of the issuer of tokens: a JWKS, or PEM. Ed25519 or P-256.")
    token_issuer: str | None = Field(default=None, min_length=1, description="Issuer that tokens must name (iss).")
    token_audience: str | None = Field(default=None, min_length=1, description="This service's name in tokens (aud).")
    token_longest_s: float = Field(default=900.0, ge=1, le=86_400, description="Longest that a token may hold, from its making to its end.")
    connection_longest_s: float = Field(
        default=600.0,
        ge=1,
        le=86_400,
        description="Seconds until a connection has to be made anew, with a certificate that holds then.",
    )
    calls_per_s: float = Field(default=1000.0, gt=0, description="Calls that one principal may make in a second; not in insecure mode.")
    urgent_calls_per_s: float = Field(
        default=5000.0, gt=0, description="The same for halts, releases, deposits and trades, out of a budget of their own."
    )
    most_calls: int = Field(default=1000, ge=1, description="Calls that may run at once, urgent ones beside them; not in insecure mode.")
    most_streams: int = Field(default=2000, ge=1, description="Streams that one principal may have open; not in insecure mode.")
    reflection: bool = Field(default=True, description="Answer gRPC reflection, which buf curl and grpcurl use.")
    monitor: bool = Field(default=True, description="Take part in the election of the monitor, which margins the house and exports it.")
    quote_tick_s: float = Field(default=2.0, ge=0.05, le=3600, description="Seconds between market snapshots that are built from quotes.")
    tracing: bool = Field(default=False, description="Send traces by OTLP to OTEL_EXPORTER_OTLP_ENDPOINT. Needs the extra otel.")
    compute_threads: int = Field(default=2, ge=1, le=64, description="Threads for revaluation and margin.")
    house_processes: int | None = Field(
        default=None,
        ge=0,
        le=64,
        description="Processes for runs over the house, started by the first long one. Default: one a core, at most 8, none on one core.",
    )
    kernels: Literal["numpy", "numba"] = Field(
        default="numpy", description="What options and bonds are revalued with. numba is faster, and needs the extra kernels."
    )
    dask_scheduler: str = Field(
        default="", description="Scheduler of a Dask cluster for runs over the house, such as tcp://dask:8786. Needs the extra distributed."
    )
    connection_count: int = Field(default=10, ge=2, le=200, description="Most connections to the database.")
    client_label_limit: int = Field(default=1000, ge=1, description="Most clients with series of their own in the metrics.")
    anchor_key_file: Path | None = Field(
        default=None, description="Ed25519 key in PEM that signs anchors of the ledger. With --embedded one is made in the data folder."
    )
    anchor_file: Path | None = Field(
        default=None, description="Also add anchors to this file, outside the database. With --embedded: anchors.jsonl in the data folder."
    )
    anchor_interval_s: float = Field(default=60.0, ge=0.1, le=3600, description="Seconds between anchors of the ledger.")
    ledger_check_time: time = Field(default=time(2), description="When the leader checks the ledger every day, in UTC: 02:00.")
    halt_alert_s: float = Field(default=3600.0, ge=0, le=2_592_000, description="Seconds that a halt may last before somebody is alerted.")
    withdrawal_alone_limit: Decimal = Field(
        default=WITHDRAWAL_ALONE_LIMIT,
        ge=0,
        description="Market value in USD of a withdrawal above which a second person has to ask for it too. 0: always.",
    )
    withdrawal_window_s: float = Field(
        default=WITHDRAWAL_WINDOW.total_seconds(),
        ge=0,
        le=2_592_000,
        description="Seconds in which withdrawals of a client by one person alone count together for that limit. 0: each by itself.",
    )
    call_time: time | None = Field(
        default=None,
        description="Time of day, in UTC, at which whoever is below his initial margin is called. Empty: only who is in margin call.",
    )
    history_every_run_s: float = Field(
        default=3600.0, ge=0, le=31_536_000, description="Age up to which the margins of every house run are kept; then one a minute is."
    )
    history_per_minute_s: float = Field(
        default=86_400.0, ge=0, le=315_360_000, description="Age up to which one a minute is kept; then one an hour."
    )
    history_per_hour_s: float = Field(
        default=2_592_000.0, ge=0, le=3_153_600_000, description="Age up to which one an hour is kept; then one a day, for good."
    )
    drain_s: float = Field(default=5.0, ge=0, le=300, description="Seconds that running calls are given when the service stops.")
    ready_file: Path | None = Field(default=None, description="Write the bound addresses there as JSON once the service serves.")

    @model_validator(mode="before")
    @classmethod
    def _read_secrets(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Take secrets from the files that are named for them."""
        read = dict(given)
        for name in SECRETS:
            file = given.get(f"{name}_file")
            if not file:
                continue
            if given.get(name):
                raise ValueError(f"both {name} and {name}_file are given; expected one of them")
            try:
                read[name] = Path(file).read_text().strip()
            except OSError as error:
                raise ValueError(f"{name}_file {file} cannot be read: {error.strerror}") from None
        return read

    @property
    def embedded_anchor_key_file(self) -> Path:
        """The key that the embedded database gets at its first start."""
        return self.data_dir / "anchor-key.pem"

    @property
    def anchor_journal(self) -> Path | None:
        """Where anchors go outside the database; None for nowhere."""
        return self.anchor_file or (self.data_dir / "anchors.jsonl" if self.embedded else None)

    @property
    def history_tiers(self) -> HistoryTiers:
        """How the history of margins is thinned; ValueError when a coarser tier ends before a finer one."""
        ages = (self.history_every_run_s, self.history_per_minute_s, self.history_per_hour_s)
        return HistoryTiers(*(timedelta(seconds=age) for age in ages))

    def check_database(self) -> None:
        """Return if exactly one database is configured; ValueError otherwise."""
        if self.embedded == (self.database_url is not None):
            raise ValueError("expected either --embedded or a database URL (CROSSMARGIN_DATABASE_URL), and not both")

    def check_history(self) -> None:
        """Return if the ages at which the history is thinned ascend; ValueError otherwise."""
        ages = (self.history_every_run_s, self.history_per_minute_s, self.history_per_hour_s)
        if list(ages) != sorted(ages):
            raise ValueError(
                "expected history_every_run_s <= history_per_minute_s <= history_per_hour_s; they were "
                + ", ".join(f"{age:g}" for age in ages)
            )

    def check_exposure(self) -> None:
        """Return if the service may listen as configured.

        Raises:
            ValueError: Without everything that tells callers apart, unless insecure on loopback, where nothing does.
        """
        host = self.grpc_address.rpartition(":")[0].strip("[]")
        is_loopback = host == "localhost" or (_is_ip(host) and ip_address(host).is_loopback)
        given = {name: getattr(self, name) is not None for name in SECURITY_SETTINGS}
        if self.insecure:
            if any(given.values()):
                found = ", ".join(name for name, is_given in given.items() if is_given)
                raise ValueError(f"--insecure serves without TLS and tokens, and {found} were given; expected one or the other")
            if not is_loopback:
                raise ValueError(f"--insecure is for loopback only; grpc_address was {self.grpc_address}, expected 127.0.0.1:PORT")
        elif missing := [f"--{name.replace('_', '-')}" for name, is_given in given.items() if not is_given]:
            raise ValueError(
                f"{', '.join(missing)}: missing, so callers could not be told apart; throw-away ones come from: crossmargin dev-certs. "
                "On this machine only, without any of them: say so with --insecure"
            )


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
