"""Where settings come from, and which of them are refused with a sentence that helps."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from crossmargin.config import Settings

URL_FILE = str(Path(__file__))
"""Any file that can be read."""


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"CROSSMARGIN_{name.upper()}", raising=False)


def test_defaults_listen_on_loopback_only_and_are_not_insecure():
    settings = Settings()
    assert (settings.grpc_address, settings.admin_address) == ("127.0.0.1:50051", "127.0.0.1:9464")
    assert (settings.insecure, settings.embedded, settings.database_url) == (False, False, None)
    assert settings.data_dir == Path(".crossmargin")


def test_a_flag_wins_over_the_environment_and_the_environment_over_the_default(monkeypatch):
    assert Settings().drain_s == 5.0
    monkeypatch.setenv("CROSSMARGIN_DRAIN_S", "7")
    assert Settings().drain_s == 7.0
    assert Settings(drain_s="9").drain_s == 9.0


def test_an_empty_variable_is_as_good_as_none(monkeypatch):
    monkeypatch.setenv("CROSSMARGIN_DATABASE_URL", "")
    monkeypatch.setenv("CROSSMARGIN_GRPC_ADDRESS", "")
    assert Settings() == Settings(grpc_address="127.0.0.1:50051")


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_has_a_description_and_a_variable_of_its_own(name, monkeypatch):
    text = {
        "database_url": "postgresql://db/x",
        "migration_url": "postgresql://db/y",
        "database_url_file": URL_FILE,
        "migration_url_file": URL_FILE,
        "data_dir": "/d",
        "pg_bin": "/b",
        "ready_file": "/r",
        "anchor_key_file": "/k",
        "anchor_file": "/a",
        "ledger_check_time": "03:30",
        "house_processes": "3",
        "call_time": "07:00",
        "kernels": "numba",
    }.get(name)
    text = text or {bool: "true", int: "3", float: "3", Decimal: "3"}.get(Settings.model_fields[name].annotation, "127.0.0.1:3")
    if getattr(Settings(), name) is True:
        text = "false"
    monkeypatch.setenv(f"CROSSMARGIN_{name.upper()}", text)
    assert getattr(Settings(), name) != Settings.model_fields[name].default
    assert Settings.model_fields[name].description.endswith(".")


def test_an_unknown_setting_is_refused():
    with pytest.raises(ValidationError, match="grpc_adress"):
        Settings(grpc_adress="127.0.0.1:1")


def test_settings_do_not_change_once_read():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().insecure = True


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.0.0.1:65535", "localhost:50051", "[::1]:50051", "0.0.0.0:1", "db.example.com:1"])
@pytest.mark.parametrize("name", ["grpc_address", "admin_address"])
def test_an_address_is_a_host_and_a_port(name, address):
    assert getattr(Settings(**{name: address}), name) == address


@pytest.mark.parametrize(
    "address",
    ["", "localhost", ":50051", "localhost:", "localhost:http", "localhost:65536", "localhost:-1", "localhost: 1", "localhost:٥", "::"],
)
@pytest.mark.parametrize("name", ["grpc_address", "admin_address"])
def test_a_bad_address_is_shown_with_an_example_of_a_good_one(name, address):
    with pytest.raises(ValidationError) as caught:
        Settings(**{name: address})
    (fault,) = caught.value.errors()
    assert fault["loc"] == (name,)
    assert fault["msg"] == f"Value error, was {address!r}; expected HOST:PORT such as 127.0.0.1:50051, port 0 for any free one"


@pytest.mark.parametrize(
    ("name", "ends", "outside"),
    [
        ("compute_threads", ("1", "64"), ("0", "65", "1.5")),
        ("house_processes", ("0", "64"), ("-1", "65", "1.5")),
        ("connection_count", ("2", "200"), ("1", "201", "x")),
        ("client_label_limit", ("1",), ("0", "-1")),
        ("withdrawal_alone_limit", ("0", "1000000000"), ("-1", "nan", "x")),
        ("withdrawal_window_s", ("0", "2592000"), ("-1", "2592001", "x")),
        ("drain_s", ("0", "300"), ("-0.1", "301", "nan")),
    ],
)
def test_a_number_out_of_range_is_refused(name, ends, outside):
    for text in ends:
        assert getattr(Settings(**{name: text}), name) == float(text)
    for text in outside:
        with pytest.raises(ValidationError, match=name):
            Settings(**{name: text})


def test_exactly_one_database_is_chosen():
    Settings(embedded=True).check_database()
    Settings(database_url="postgresql://user@host/name").check_database()
    for settings in (Settings(), Settings(embedded=True, database_url="postgresql://user@host/name")):
        with pytest.raises(ValueError, match="either --embedded or a database URL"):
            settings.check_database()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.9.9.9:1", "localhost:1", "[::1]:1", "::1:1"])
def test_insecure_is_for_loopback(address):
    Settings(insecure=True, grpc_address=address).check_exposure()


@pytest.mark.parametrize("address", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.com:1", "localhost.example.com:1", "128.0.0.1:1"])
def test_insecure_anywhere_else_is_refused_with_the_address(address):
    with pytest.raises(ValueError, match="--insecure is for loopback only") as caught:
        Settings(insecure=True, grpc_address=address).check_exposure()
    assert address in str(caught.value)


@pytest.mark.parametrize("address", ["127.0.0.1:50051", "10.0.0.1:50051"])
def test_plaintext_is_never_served_without_saying_so(address):
    with pytest.raises(ValueError, match="say so with --insecure"):
        Settings(grpc_address=address).check_exposure()


def test_a_database_url_is_not_shown():
    settings = Settings(database_url="postgresql://user:hunter2@host/name")
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.database_url.get_secret_value().endswith("hunter2@host/name")


def test_secrets_are_read_from_files(tmp_path, monkeypatch):
    file = tmp_path / "url"
    file.write_text("postgresql://user:hunter2@host/name\n")
    settings = Settings(database_url_file=str(file))
    assert settings.database_url.get_secret_value() == "postgresql://user:hunter2@host/name"
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()
    monkeypatch.setenv("CROSSMARGIN_MIGRATION_URL_FILE", str(file))
    assert Settings().migration_url.get_secret_value().endswith("hunter2@host/name")
    with pytest.raises(ValidationError, match="both database_url and database_url_file are given"):
        Settings(database_url_file=str(file), database_url="postgresql://host/x")
    with pytest.raises(ValidationError, match="nothing cannot be read: No such file"):
        Settings(database_url_file=str(tmp_path / "nothing"))
