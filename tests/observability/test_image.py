"""The image installs what this source asks for, from hashes, and the chart's pods can run it."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.observability.chart import LEAST, objects, pod_specs
from tests.observability.dashboards import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
SERVICE = [*PROJECT["project"]["dependencies"], *EXTRAS["service"], *EXTRAS["otel"]]


def locked(name):
    """The versions that a lock file pins, by canonical name."""
    text = (ROOT / "service" / name).read_text(encoding="utf-8")
    return {canonicalize_name(found[1]): found[2] for found in re.finditer(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)}


@pytest.mark.parametrize(
    ("lock", "requirement"),
    [("requirements.lock", one) for one in SERVICE] + [("build.lock", one) for one in PROJECT["build-system"]["requires"]],
)
def test_every_requirement_is_locked_at_a_version_that_meets_it(lock, requirement):
    """Otherwise compile it again; its head has the command."""
    wanted = Requirement(requirement)
    assert wanted.specifier.contains(locked(lock)[canonicalize_name(wanted.name)])


@pytest.mark.parametrize("lock", ["requirements.lock", "build.lock"])
def test_every_locked_version_has_hashes(lock):
    text = (ROOT / "service" / lock).read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(locked(lock))
    assert all("--hash=sha256:" in block for block in blocks)


def test_nothing_is_fetched_without_a_hash():
    steps = re.findall(r"bin/pip (install|wheel) (.*)", DOCKERFILE)
    assert [verb for verb, _ in steps] == ["install", "install", "wheel", "install"]
    assert all("--require-hashes" in options or "--no-index" in options for _, options in steps)


def test_what_is_copied_is_in_the_source():
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        assert all((ROOT / name).exists() for name in line.split())


def test_image_and_pods_have_the_same_user():
    user = int(re.search(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)[1])
    assert {spec["securityContext"]["runAsUser"] for spec in pod_specs(objects(LEAST)).values()} == {user}
