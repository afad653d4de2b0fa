"""The tools that peers need: what runs and builds them, and what happens where they are not here."""

import fcntl
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROTO = HERE.parents[1] / "protos" / "interop.proto"
POLYGLOT = HERE.parents[2] / "examples" / "polyglot"
NODE_MODULES = POLYGLOT / "node_modules"


def lacking(what: str, how: str) -> None:
    """Skip what needs a tool that is not here; where peers are required, that is a failure."""
    if os.environ.get("PORTCALL_PEERS") == "required":
        pytest.fail(f"{what} is not here, and peers are required: {how}", pytrace=False)
    pytest.skip(f"needs {what}: {how}")


def node_command(script: Path, *arguments: str) -> list[str]:
    """The command that runs a script with Node, with `node_environment`."""
    if shutil.which("node") is None:
        lacking("node", "install Node 18 or newer")
    if not NODE_MODULES.is_dir():
        lacking("the packages for Node", "run npm ci in examples/polyglot")
    return ["node", str(script), *arguments]


def interop_by_node(script: str, *arguments: str) -> list[str]:
    """The command that runs a script of the Node peer."""
    return node_command(HERE / "node" / script, str(PROTO), *arguments)


def node_environment() -> dict[str, str]:
    return {**os.environ, "NODE_PATH": str(NODE_MODULES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A peer that is built before it runs, by the `build.sh` of its folder."""

    language: str
    tools: tuple[str, ...]
    packages: str

    def command(self, folder: Path) -> list[str]:
        """The command that runs the peer, which is built in this folder unless another process has done it."""
        for tool in self.tools:
            if shutil.which(tool) is None:
                lacking(tool, f"install {self.packages}")
        folder.mkdir(exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "server").exists():
                built = subprocess.run(
                    [HERE / self.language / "build.sh", PROTO, folder], capture_output=True, text=True, check=False
                )
                assert built.returncode == 0, built.stderr
        return [str(folder / "server")]


CPP = Built(
    language="cpp",
    tools=("g++", "protoc", "grpc_cpp_plugin", "pkg-config"),
    packages="g++, pkg-config, libgrpc++-dev, libprotobuf-dev and protobuf-compiler-grpc",
)
GO = Built(
    language="go",
    tools=("go", "protoc", "protoc-gen-go"),
    packages="golang-go, golang-google-grpc-dev, golang-goprotobuf-dev and protobuf-compiler",
)
