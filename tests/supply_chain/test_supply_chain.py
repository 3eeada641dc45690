"""The bill of materials is CycloneDX and complete, and an audit that could not be made is never one that found nothing."""

from __future__ import annotations

import json
import subprocess

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.supply_chain.audit import CLEAN, NOT_AUDITED, VULNERABLE, audit
from tests.supply_chain.bill_of_materials import bill_of_materials
from tests.supply_chain.locks import BUILD_LOCK, SERVICE_LOCK, read_lock

PACKAGES = read_lock(SERVICE_LOCK)
BILL = bill_of_materials(PACKAGES)
LOCK = """
numpy==2.3.0 \\
    --hash=sha256:{a} \\
    --hash=sha256:{b}
    # via
    #   crossmargin (pyproject.toml)
    #   scipy
scipy==1.16.0 ; python_version >= "3.11" \\
    --hash=sha256:{a}
    # via crossmargin (pyproject.toml)
""".format(a="a" * 64, b="b" * 64)
GOOD = [{"name": "numpy", "version": "2.3.0", "vulns": []}, {"name": "scipy", "version": "1.16.0", "vulns": []}]
BAD = [GOOD[0], {"name": "scipy", "version": "1.16.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.16.1"]}]}]


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "some.lock"
    path.write_text(LOCK)
    return path


def test_a_lock_is_read_with_hashes_and_with_who_asks(lock):
    numpy, scipy = read_lock(lock)
    assert (numpy.name, numpy.version, numpy.hashes) == ("numpy", "2.3.0", ("a" * 64, "b" * 64))
    assert numpy.wanted_by == {"crossmargin", "scipy"}
    assert (scipy.version, scipy.wanted_by) == ("1.16.0", {"crossmargin"})


def test_the_bill_is_cyclonedx():
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(BILL)) is None


def test_the_bill_has_every_package_that_is_installed_with_its_hashes():
    told = {(one["name"], one["version"]): one["externalReferences"][0]["hashes"] for one in BILL["components"]}
    assert told.keys() == {(one.name, one.version) for one in PACKAGES}
    assert all(told.values())


def test_the_bill_says_who_asks_for_what():
    """Every package is reached from the service, so that nothing in the image is there by itself."""
    wants = {one["ref"]: one["dependsOn"] for one in BILL["dependencies"]}
    reached, left = set(), [BILL["metadata"]["component"]["bom-ref"]]
    while left:
        if (ref := left.pop()) not in reached:
            reached.add(ref)
            left += wants[ref]
    assert reached == wants.keys()


def test_the_same_lock_makes_the_same_bill():
    assert bill_of_materials(read_lock(SERVICE_LOCK)) == BILL
    assert bill_of_materials(PACKAGES[1:])["serialNumber"] != BILL["serialNumber"]


def answering(output: str, code: int, said: str = ""):
    return lambda command: subprocess.CompletedProcess(command, code, output, said)


@pytest.mark.parametrize(
    ("told", "code", "expected"),
    [
        (GOOD, 0, CLEAN),
        (BAD, 1, VULNERABLE),
        (GOOD[:1], 0, NOT_AUDITED),
        ([GOOD[0], {"name": "scipy", "skip_reason": "not found"}], 0, NOT_AUDITED),
        (GOOD, 1, NOT_AUDITED),
    ],
    ids=["nothing known", "something known", "one not mentioned", "one skipped", "an error beside the answer"],
)
def test_only_an_answer_that_speaks_of_every_package_counts(lock, told, code, expected):
    verdict = audit(lock, source="pypi", run=answering(json.dumps({"dependencies": told}), code))
    assert (verdict.code, verdict.count) == (expected, 2)


@pytest.mark.parametrize(("output", "code"), [("", 1), ("", 0), ("not json", 0), ("{}", 0)])
def test_silence_is_no_clean_bill(lock, output, code):
    verdict = audit(lock, source="pypi", run=answering(output, code, "ERROR: the index cannot be reached\n"))
    assert (verdict.code, verdict.why) == (NOT_AUDITED, "ERROR: the index cannot be reached")


def test_what_is_known_is_told_with_its_remedy(lock):
    verdict = audit(lock, source="pypi", run=answering(json.dumps({"dependencies": BAD}), 1))
    assert verdict.vulnerabilities == ["scipy: PYSEC-1, mended in 1.16.1"]


def test_nobody_is_asked_about_a_lock_without_hashes(lock):
    """The command itself, offline: pip-audit refuses what it cannot pin, and we do not take that for an answer."""
    lock.write_text("numpy==2.3.0\n")
    assert audit(lock, source="pypi").code == NOT_AUDITED


def test_the_tools_of_the_build_are_locked_too():
    assert {"hatchling"} <= {one.name for one in read_lock(BUILD_LOCK)}
