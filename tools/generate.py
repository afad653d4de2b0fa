"""Compile every `.proto` of this repository to Python, or with `--check` say which generated file is stale.

The compiler is `grpcio-tools`, of the `dev` extra. Generated code is committed, so that neither installing nor using
Portcall needs a compiler.
"""

import argparse
import re
import sys
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtoTree:
    """One folder of `.proto` files, compiled in place."""

    folder: str
    has_services: bool
    package: str = ""
    """The Python package that the folder is; without one, it is on the path of whoever imports from it."""


TREES = (
    ProtoTree(folder="src/portcall/protos", has_services=False, package="portcall.protos"),
    ProtoTree(folder="examples/greeter", has_services=True),
    ProtoTree(folder="examples/textmine", has_services=True),
    ProtoTree(folder="tests/protos", has_services=True),
    ProtoTree(folder="bench", has_services=False),
)


def generate(tree: ProtoTree, out: Path) -> list[Path]:
    """Compile the tree into `out`; return the generated files, relative to it."""
    root = ROOT / tree.folder
    protos = sorted(str(path.relative_to(root)) for path in root.rglob("*.proto"))
    if not protos:
        return []
    bundled = resources.files("grpc_tools") / "_proto"
    args = ["protoc", f"-I{root}", f"-I{bundled}", f"--python_out={out}", f"--pyi_out={out}"]
    if tree.has_services:
        args.append(f"--grpc_python_out={out}")
    if protoc.main([*args, *protos]) != 0:
        raise SystemExit(f"protoc failed in {tree.folder}; its own words are above")
    files = sorted(path for path in out.rglob("*") if path.is_file())
    if tree.package:
        for path in files:
            path.write_text(
                re.sub(
                    r"^from (portcall\.v1) import",
                    rf"from {tree.package}.\1 import",
                    path.read_text(),
                    flags=re.MULTILINE,
                )
            )
    return [path.relative_to(out) for path in files]


def main() -> int:
    """Compile or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a generated file is stale")
    is_check = parser.parse_args().check
    stale = []
    for tree in TREES:
        with tempfile.TemporaryDirectory() as scratch:
            for name in generate(tree, Path(scratch)):
                fresh, target = (Path(scratch) / name).read_bytes(), ROOT / tree.folder / name
                if target.exists() and target.read_bytes() == fresh:
                    continue
                stale.append(str(target.relative_to(ROOT)))
                if not is_check:
                    target.write_bytes(fresh)
    for path in stale:
        print(f"{'stale' if is_check else 'wrote'}: {path}")
    if is_check and stale:
        print("Run `python tools/generate.py` and commit what it writes.")
    return int(is_check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
