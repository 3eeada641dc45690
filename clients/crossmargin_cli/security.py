"""How commands show who they are: options, environment variables, or a profile."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from crossmargin_cli.failures import MisuseError
from crossmargin_client.security import TlsFiles, TokenFile

_FLAGS: Final = ("--profile", "--tls-ca", "--tls-cert", "--tls-key", "--token-file")
_KEYS: Final = ("tls_ca", "tls_cert", "tls_key", "token_file")
_SERVICE_COMMANDS: Final = frozenset({"serve", "migrate", "verify-ledger", "rebuild-projections", "anchor-key"})

ProfileOption = Annotated[
    Path | None,
    typer.Option("--profile", envvar="CROSSMARGIN_PROFILE", help="TOML with target, tls_ca, tls_cert, tls_key and token_file, or some."),
]
CaOption = Annotated[
    Path | None, typer.Option("--tls-ca", envvar="CROSSMARGIN_TLS_CA", help="Authority of the service's certificate, in PEM.")
]
CertOption = Annotated[Path | None, typer.Option("--tls-cert", envvar="CROSSMARGIN_TLS_CERT", help="Your certificate, in PEM.")]
KeyOption = Annotated[Path | None, typer.Option("--tls-key", envvar="CROSSMARGIN_TLS_KEY", help="The key of your certificate, in PEM.")]
TokenOption = Annotated[
    Path | None, typer.Option("--token-file", envvar="CROSSMARGIN_TOKEN_FILE", help="File with your token; read again as it changes.")
]


@dataclass(frozen=True, slots=True)
class Security:
    """What commands connect with; nothing for a plain connection on this machine."""

    tls: TlsFiles | None = None
    token: TokenFile | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of a client."""
        return {"tls": self.tls, "token": self.token}


_chosen: list[Security] = [Security()]


def chosen_security() -> Security:
    """Return what this command was told to connect with."""
    return _chosen[-1]


def choose_security(
    profile: ProfileOption = None,
    tls_ca: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    token_file: TokenOption = None,
) -> None:
    """Take note of how to connect. These options may stand anywhere in a command."""
    found = _read_profile(profile) if profile is not None else {}
    given = {"tls_ca": tls_ca, "tls_cert": tls_cert, "tls_key": tls_key, "token_file": token_file}
    files = {key: given[key] or found.get(key) for key in _KEYS}
    _chosen.append(Security(_tls(files["tls_ca"], files["tls_cert"], files["tls_key"]), _token(files["token_file"])))


def hoisted(words: Sequence[str]) -> list[str]:
    """Return the words of a command with the options of this module in front, where the parser looks for them.

    >>> hoisted(["margin", "show", "--profile", "risk.toml", "--json"])
    ['--profile', 'risk.toml', 'margin', 'show', '--json']
    """
    if words and words[0] in _SERVICE_COMMANDS:
        return list(words)
    front, rest = [], []
    remaining = iter(words)
    for word in remaining:
        if word == "--":
            rest += [word, *remaining]
        elif word in _FLAGS:
            front += [word, *[value for value in [next(remaining, None)] if value is not None]]
        elif word.partition("=")[0] in _FLAGS:
            front.append(word)
        else:
            rest.append(word)
    return front + rest


def _read_profile(path: Path) -> dict[str, Path]:
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise MisuseError(f"profile {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise MisuseError(f"profile {path} is no TOML: {error}") from None
    if unknown := document.keys() - {"target", *_KEYS}:
        raise MisuseError(f"profile {path}: {', '.join(sorted(unknown))} means nothing; expected target, {', '.join(_KEYS)}")
    if target := document.get("target"):
        os.environ.setdefault("CROSSMARGIN_TARGET", str(target))
    # A folder of profiles can be moved as a whole.
    return {key: path.parent / str(document[key]) for key in _KEYS if key in document}


def _tls(ca: Path | None, certificate: Path | None, key: Path | None) -> TlsFiles | None:
    if ca is None and certificate is None and key is None:
        return None
    if ca is None or certificate is None or key is None:
        raise MisuseError("expected all of --tls-ca, --tls-cert and --tls-key, or none of them for a service on this machine")
    for path in (ca, certificate, key):
        _check_readable(path)
    return TlsFiles(ca, certificate, key)


def _token(path: Path | None) -> TokenFile | None:
    if path is None:
        return None
    _check_readable(path)
    return TokenFile(path)


def _check_readable(path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise MisuseError(f"{path} cannot be read: {error.strerror}") from None
