"""Compile every `.proto` of this repository to Python, or with `--check` say which generated file is stale.

Portcall compiles its own files as anybody else's; the compiler is `grpcio-tools`, of the `dev` extra. Generated code is
committed, so that neither installing nor using Portcall needs a compiler.
"""

import argparse
import os
import sys
from pathlib import Path

from portcall.cli.main import run

ROOT = Path(__file__).resolve().parent.parent

TREES = {
    "src/portcall/protos": ["--no-services"],
    "examples/crawler": [],
    "examples/greeter": [],
    "examples/textmine": [],
    "tests/protos": [],
    "bench": ["--no-services"],
}
"""Folders of `.proto` files, compiled in place, and how."""


def main() -> int:
    """Compile or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a generated file is stale")
    how = ["--check"] if parser.parse_args().check else ["--prune"]
    os.chdir(ROOT)
    code = max(run(["compile", folder, "--out", folder, *options, *how]) for folder, options in TREES.items())
    if code and how == ["--check"]:
        print("Run `python tools/generate.py` and commit what it writes.")
    return code


if __name__ == "__main__":
    sys.exit(main())
