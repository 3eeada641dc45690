"""Commands find out who they are from options, the environment or a profile, and say what is missing."""

from __future__ import annotations

import pytest

from crossmargin_cli import security
from crossmargin_cli.failures import MisuseError
from crossmargin_cli.security import choose_security, chosen_security, hoisted


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    monkeypatch.setattr(security, "_chosen", [security.Security()])
    monkeypatch.delenv("CROSSMARGIN_TARGET", raising=False)


@pytest.fixture
def folder(tmp_path):
    for name in ("ca.pem", "risk.pem", "risk-key.pem"):
        (tmp_path / name).write_text("pem")
    (tmp_path / "risk.token").write_text("secret\n")
    return tmp_path


def test_nothing_is_shown_on_this_machine():
    assert chosen_security().options == {"tls": None, "token": None}


def test_a_profile_names_its_files_beside_itself_and_where_the_service_is(folder, monkeypatch):
    profile = folder / "risk.toml"
    profile.write_text(
        'target = "margin:50051"\ntls_ca = "ca.pem"\ntls_cert = "risk.pem"\ntls_key = "risk-key.pem"\ntoken_file = "risk.token"\n'
    )
    choose_security(profile=profile)
    found = chosen_security()
    assert found.tls is not None
    assert (found.tls.ca, found.tls.certificate, found.tls.key) == (folder / "ca.pem", folder / "risk.pem", folder / "risk-key.pem")
    assert found.token() == "secret"
    assert security.os.environ["CROSSMARGIN_TARGET"] == "margin:50051"
    other = folder / "other.token"
    other.write_text("another")
    choose_security(profile=profile, token_file=other)
    assert chosen_security().token() == "another"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("target", "no TOML"),
        ('token = "x"', "token means nothing"),
        ('token_file = "nowhere"', "nowhere cannot be read"),
        ('tls_ca = "ca.pem"', "all of --tls-ca, --tls-cert and --tls-key"),
    ],
)
def test_a_profile_that_cannot_be_used_says_why(folder, text, said):
    profile = folder / "profile.toml"
    if text is not None:
        profile.write_text(text)
    with pytest.raises(MisuseError, match=said):
        choose_security(profile=profile)


def test_options_may_stand_anywhere_in_a_command():
    assert hoisted(["margin", "--tls-ca=ca.pem", "show", "--json"]) == ["--tls-ca=ca.pem", "margin", "show", "--json"]
    assert hoisted(["whatif", "a/b", "--token-file", "t", "--", "--profile"]) == ["--token-file", "t", "whatif", "a/b", "--", "--profile"]
    assert hoisted(["serve", "--profile", "x"]) == ["serve", "--profile", "x"]
    assert hoisted(["margin", "--profile"]) == ["--profile", "margin"]
