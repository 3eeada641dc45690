"""The house rules that a reader relies on, checked on the code itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path for folder in ("service", "clients") for path in (ROOT / folder).rglob("*.py") if "api" not in path.relative_to(ROOT).parts
)
TOP_LEVEL = {
    "pyproject.toml",
    "README.md",
    "protos",
    "service",
    "clients",
    "migrations",
    "tests",
    "helm",
    "CHANGELOG.md",
    "LICENSE",
    "Dockerfile",
}


def tracked_top_level() -> set[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name.split("/")[0] for name in listed}


def test_import_contracts_hold():
    linter = Path(sys.executable).parent / "lint-imports"
    checked = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_top_level_holds_only_what_is_listed():
    strangers = {name for name in tracked_top_level() if not name.startswith(".")} - TOP_LEVEL
    assert not strangers, f"not in the tree that newcomers are told of: {sorted(strangers)}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for(path):
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text)), f"{path} has no module docstring"


def test_domain_uses_no_numpy():
    offenders = [path for path in SOURCES if "domain" in path.parts and "numpy" in path.read_text()]
    assert not offenders
