"""What the lock files pin: the packages of the image, with the hashes of their files and who asks for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
SERVICE_LOCK, BUILD_LOCK = ROOT / "service" / "requirements.lock", ROOT / "service" / "build.lock"
_PINNED = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)
_PACKAGE = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Locked:
    """A pinned package.

    Attributes:
        hashes: SHA-256 of each file that may be installed of it.
        wanted_by: Names of the packages that ask for it; the project's own among them.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    wanted_by: frozenset[str]

    @property
    def purl(self) -> str:
        """Its name for every tool that knows of vulnerabilities."""
        return f"pkg:pypi/{self.name}@{self.version}"


def read_lock(path: Path) -> list[Locked]:
    """Return what a file of pip-compile pins, by name."""
    text = path.read_text(encoding="utf-8")
    begins = list(_PINNED.finditer(text))
    ends = [begin.start() for begin in begins[1:]] + [len(text)]
    return [_locked(begin, text[begin.end() : end]) for begin, end in zip(begins, ends, strict=True)]


def _locked(pinned: re.Match[str], rest: str) -> Locked:
    hashes = tuple(sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", rest)))
    comments = [line.strip().removeprefix("#").strip() for line in rest.splitlines() if line.strip().startswith("#")]
    words = [comment.removeprefix("via").strip() for comment in comments]
    wanted_by = {canonicalize_name(found[0]) for word in words if (found := _PACKAGE.match(word))}
    return Locked(canonicalize_name(pinned["name"]), pinned["version"], hashes, frozenset(wanted_by))
