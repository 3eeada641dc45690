"""Ask `pip-audit --strict` whether anything that the image installs has a known vulnerability, and never take silence for a no."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.supply_chain.locks import read_lock

CLEAN, VULNERABLE, NOT_AUDITED = 0, 1, 75
"""What the command exits with; the last is EX_TEMPFAIL of sysexits.h: try again where there is a network."""
PATIENCE_S: Final = 300
Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class Verdict:
    """What is known of the packages of one lock.

    Attributes:
        code: See `CLEAN` and its neighbours.
        why: Why nobody could say; empty when somebody did.
    """

    code: int
    count: int
    vulnerabilities: Sequence[str] = field(default_factory=tuple)
    why: str = ""


def audit(lock: Path, *, source: str, run: Run | None = None) -> Verdict:
    """Return what `source`, pypi or osv, knows of everything that a lock pins.

    Only an answer that speaks of every package counts. Without one, for want of a network or of an index that knows of vulnerabilities, the
    verdict is that there is none.
    """
    packages = read_lock(lock)
    command = [sys.executable, "-m", "pip_audit", "--strict", "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
    try:
        found = (run or _run)([*command, "--vulnerability-service", source, "--format", "json", "--requirement", str(lock)])
    except subprocess.TimeoutExpired:
        return Verdict(NOT_AUDITED, len(packages), why=f"no answer within {PATIENCE_S} s")
    answers = _answers(found.stdout)
    unheard = {package.name for package in packages} - answers.keys()
    if unheard:
        return Verdict(NOT_AUDITED, len(packages), why=_last_line(found.stderr) or f"nothing was said of {', '.join(sorted(unheard))}")
    vulnerabilities = [f"{name}: {known}" for name, several in sorted(answers.items()) for known in several]
    if found.returncode != 0 and not vulnerabilities:
        return Verdict(NOT_AUDITED, len(packages), why=_last_line(found.stderr) or f"pip-audit ended with {found.returncode}")
    return Verdict(VULNERABLE if vulnerabilities else CLEAN, len(packages), vulnerabilities)


def _answers(output: str) -> dict[str, list[str]]:
    try:
        told = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return {}
    return {one["name"]: [_words(known) for known in one["vulns"]] for one in told if "skip_reason" not in one}


def _words(known: dict[str, object]) -> str:
    fixes = known.get("fix_versions")
    better = ", ".join(map(str, fixes)) if isinstance(fixes, list) and fixes else "no version yet"
    return f"{known.get('id')}, mended in {better}"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
