"""The bill of materials of the service's image, in CycloneDX: every package with its version, hashes, licence and who asks for it.

The same lock makes the same bill: it has no time of its own, and its number is made of what it says. It tells of Python packages; what the
base image brings is told by whoever publishes that.
"""

from __future__ import annotations

import json
import tomllib
import uuid
from collections.abc import Sequence
from importlib import metadata
from typing import Any, Final

from tests.supply_chain.locks import ROOT, Locked

SPEC_VERSION: Final = "1.6"
_NAMESPACE: Final = uuid.UUID("6f1b0a3e-6c0e-5d0c-9a55-0c6f5c1d9b11")


def bill_of_materials(packages: Sequence[Locked]) -> dict[str, Any]:
    """Return the bill of the service as this source builds it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    root = f"pkg:pypi/{project['name']}@{project['version']}"
    bill: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": project["name"],
                "version": project["version"],
                "description": project["description"],
                "licenses": [{"expression": project["license"]}],
                "purl": root,
            }
        },
        "components": [_component(package) for package in packages],
        "dependencies": _dependencies(packages, project["name"], root),
    }
    number = uuid.uuid5(_NAMESPACE, json.dumps(bill, sort_keys=True))
    return {**bill, "serialNumber": number.urn}


def _component(package: Locked) -> dict[str, Any]:
    files = {
        "type": "distribution",
        "url": f"https://pypi.org/project/{package.name}/{package.version}/#files",
        "hashes": [{"alg": "SHA-256", "content": content} for content in package.hashes],
    }
    licence = _licence_of(package)
    return {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        **({"licenses": [licence]} if licence else {}),
        "purl": package.purl,
        "externalReferences": [files],
    }


def _licence_of(package: Locked) -> dict[str, Any] | None:
    """Return what the package says of its licence, if this very version is installed here to be asked."""
    try:
        said = metadata.metadata(package.name)
    except metadata.PackageNotFoundError:
        return None
    if said["Version"] != package.version:
        return None
    if expression := said.get("License-Expression"):
        return {"expression": expression}
    names = [name.rpartition(" :: ")[2] for name in said.get_all("Classifier", ()) if name.startswith("License ::")]
    return {"license": {"name": " or ".join(names)}} if names else None


def _dependencies(packages: Sequence[Locked], project: str, root: str) -> list[dict[str, Any]]:
    refs = {project: root} | {package.name: package.purl for package in packages}
    wants: dict[str, list[str]] = {ref: [] for ref in refs.values()}
    for package in packages:
        for name in package.wanted_by & refs.keys():
            wants[refs[name]].append(package.purl)
    return [{"ref": ref, "dependsOn": sorted(wanted)} for ref, wanted in wants.items()]
