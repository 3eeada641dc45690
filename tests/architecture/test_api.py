"""The API is lint-clean and commented, its generated code is what the protos say, and every reason is documented."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from crossmargin.api.v1 import error_reason_pb2
from crossmargin.domain.errors import Reason

ROOT = Path(__file__).resolve().parents[2]
PROTOS = ROOT / "protos"
GENERATED = ROOT / "service" / "crossmargin" / "api" / "v1"
PREFIX = "ERROR_REASON_"


def test_the_protos_pass_the_lint_of_style_and_comments():
    """buf.yaml asks for STANDARD and COMMENTS, so that no service, rpc, message, field or enum value goes without a comment."""
    buf = Path(sys.executable).parent / "buf"
    rules = (PROTOS / "buf.yaml").read_text()
    assert "STANDARD" in rules
    assert "COMMENTS" in rules
    checked = subprocess.run([buf, "lint", "protos"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.fixture(scope="module")
def regenerated(tmp_path_factory) -> Path:
    found = importlib.util.spec_from_file_location("generate_api", PROTOS / "generate.py")
    generator = importlib.util.module_from_spec(found)
    found.loader.exec_module(generator)
    output = tmp_path_factory.mktemp("regenerated")
    generator.generate(output)
    return output / "crossmargin" / "api" / "v1"


def test_the_generated_code_is_what_the_protos_say(regenerated):
    committed = {path.name: path.read_bytes() for path in GENERATED.glob("*_pb2*")}
    fresh = {path.name: path.read_bytes() for path in regenerated.glob("*_pb2*")}
    assert set(committed) == set(fresh)
    stale = sorted(name for name in fresh if committed[name] != fresh[name])
    assert not stale, f"run `python protos/generate.py`; out of date: {stale}"


def test_every_reason_of_the_domain_is_documented_on_the_wire_and_the_other_way_round():
    on_the_wire = {name.removeprefix(PREFIX) for name in error_reason_pb2.ErrorReason.keys()}  # noqa: SIM118 - an enum, not a dict
    # What only the edge can say: an unset value, and a fault whose inside stays inside.
    assert on_the_wire - {"UNSPECIFIED", "INTERNAL"} == {reason.code for reason in Reason}
    assert {"UNSPECIFIED", "INTERNAL"} <= on_the_wire


def test_the_code_of_a_reason_is_its_name():
    assert [reason.code for reason in Reason] == [reason.name for reason in Reason]


@pytest.mark.parametrize("value", sorted(set(error_reason_pb2.ErrorReason.keys()) - {PREFIX + "UNSPECIFIED"}))
def test_every_reason_comes_with_an_example(value):
    text = (PROTOS / "crossmargin" / "api" / "v1" / "error_reason.proto").read_text()
    comment = text[: text.index(f"  {value} = ")].rpartition(";\n")[2]
    assert "// Example: " in comment, f"{value} has no example"
