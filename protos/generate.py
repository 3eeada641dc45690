"""Regenerate service/crossmargin/api from the protos: `python protos/generate.py [OUTPUT_ROOT]`.

The field rules of protovalidate stay in the descriptors as options, but the generated Python does not import a package called `buf`: it
would have to sit at the top of site-packages, where it could collide with somebody else's. So the dependency is dropped from the
descriptors after parsing; the options themselves are untouched, and protovalidate reads them from there.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from google.protobuf import descriptor_pb2
from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent
RULES = "buf/validate/validate.proto"


def generate(output_root: Path) -> None:
    """Write the modules of every proto of the API below `output_root`, which is a Python source root."""
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("crossmargin/**/*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        described = Path(scratch) / "api.binpb"
        _protoc(
            [
                "-I",
                str(PROTOS),
                "-I",
                str(files("grpc_tools") / "_proto"),
                "--include_imports",
                f"--descriptor_set_out={described}",
                *sources,
            ]
        )
        described.write_bytes(_without_rules_dependency(described.read_bytes()))
        outputs = [f"--{kind}_out={output_root}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
        _protoc([f"--descriptor_set_in={described}", *outputs, *sources])


def _without_rules_dependency(serialized: bytes) -> bytes:
    # Options of extensions that are not registered here are unknown fields, which survive parsing and serialising.
    described = descriptor_pb2.FileDescriptorSet.FromString(serialized)
    kept = [file for file in described.file if file.name != RULES]
    for file in kept:
        remaining = [name for name in file.dependency if name != RULES]
        del file.dependency[:]
        file.dependency.extend(remaining)
    return descriptor_pb2.FileDescriptorSet(file=kept).SerializeToString(deterministic=True)


def _protoc(arguments: list[str]) -> None:
    plugins = Path(sys.executable).parent
    command = ["protoc", *(f"--plugin={plugins / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")), *arguments]
    if protoc.main(command) != 0:
        raise SystemExit(f"protoc failed: {' '.join(command)}")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else PROTOS.parent / "service")
