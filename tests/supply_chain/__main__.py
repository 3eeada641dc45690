"""`python -m tests.supply_chain sbom`: what the image is made of. `... audit`: whether anything of it has a known vulnerability."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from crossmargin.adapters.runtime.terminal import exit_code_of
from tests.supply_chain.audit import CLEAN, NOT_AUDITED, VULNERABLE, audit
from tests.supply_chain.bill_of_materials import bill_of_materials
from tests.supply_chain.locks import BUILD_LOCK, SERVICE_LOCK, read_lock


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.supply_chain")
    commands = parser.add_subparsers(dest="command", required=True)
    sbom = commands.add_parser("sbom", help="write the bill of materials in CycloneDX")
    sbom.add_argument("--out", type=Path, help="the file; standard output unless it is named")
    checked = commands.add_parser("audit", help="pip-audit --strict over both lock files; exits with 75 where nobody can be asked")
    checked.add_argument("--source", choices=("pypi", "osv"), default="pypi", help="who is asked of vulnerabilities")
    chosen = parser.parse_args()
    return _write_bill(chosen.out) if chosen.command == "sbom" else _audit(chosen.source)


def _write_bill(out: Path | None) -> int:
    text = json.dumps(bill_of_materials(read_lock(SERVICE_LOCK)), indent=2) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")
        print(f"{out}: {len(read_lock(SERVICE_LOCK))} packages")
    return CLEAN


def _audit(source: str) -> int:
    codes = set()
    for lock in (SERVICE_LOCK, BUILD_LOCK):
        verdict = audit(lock, source=source)
        codes.add(verdict.code)
        if verdict.code == NOT_AUDITED:
            print(f"{lock.name}: NOT AUDITED, {verdict.count} packages. {source} could not be asked: {verdict.why}")
        else:
            print(f"{lock.name}: {verdict.count} packages, {len(verdict.vulnerabilities)} known vulnerabilities")
        for known in verdict.vulnerabilities:
            print(f"  {known}")
    # What is known to be wrong is worse than what is not known.
    return next(code for code in (VULNERABLE, NOT_AUDITED, CLEAN) if code in codes)


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
