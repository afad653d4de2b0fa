"""A base image for tests: the Python that runs them with the libraries that it needs, as an OCI layout.

Made with tarfile, gzip and json alone, so that nothing of what is tested makes what it is tested with.
"""

import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

LEFT_OUT = {"test", "tests", "idlelib", "lib2to3", "tkinter", "turtledemo", "site-packages", "__pycache__"}
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
PREFIX = "usr/local"


def make_base(folder: Path, *, architectures: Iterable[str] = ("amd64",)) -> Path:
    """Write the layout; one with several architectures has the same files for each, which is enough to build upon."""
    environment = [f"PATH=/{PREFIX}/bin:/usr/bin:/bin", f"LD_LIBRARY_PATH=/{PREFIX}/lib"]
    links = {f"{PREFIX}/bin/python3": f"python{MINOR}"}
    return write_image(folder, [_layer(sorted(set(_files())), links)], environment, architectures)


def make_slim_base(folder: Path, debian: Path) -> Path:
    """Write a layout like that of `python:3-slim`: Debian, as debootstrap makes it, and this Python in /usr/local.

    Debian's own Python is not there; PATH and PYTHON_VERSION are what say where ours is, and which.
    """
    environment = [f"PATH=/{PREFIX}/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
    environment.append("PYTHON_VERSION=" + ".".join(map(str, sys.version_info[:3])))
    files = [(path, source) for path, source in set(_files()) if path != "bin/sh"]
    if any(source.name.startswith("libpython") for _, source in files):
        environment.append(f"LD_LIBRARY_PATH=/{PREFIX}/lib")
    usr_merged = [(f"usr/{path}" if path.startswith(("lib/", "lib64/")) else path, source) for path, source in files]
    links = {f"{PREFIX}/bin/python3": f"python{MINOR}", f"{PREFIX}/bin/python": "python3"}
    layers = [_packed(debian.read_bytes()), _layer(sorted(usr_merged), {}), _layer([], links)]
    return write_image(folder, layers, environment, ["amd64"])


def make_bare_base(folder: Path, debian: Path) -> Path:
    """Write a layout of Debian alone, without any Python."""
    return write_image(folder, [_packed(debian.read_bytes())], ["PATH=/usr/bin:/bin"], ["amd64"])


def make_musl_base(folder: Path) -> Path:
    """Write a layout that has the look of Alpine with Python; nothing in it runs."""
    loader = folder.with_suffix(".file")
    loader.write_bytes(b"musl")
    files = [("lib/ld-musl-x86_64.so.1", loader), (f"{PREFIX}/bin/python{MINOR}", loader)]
    links = {f"{PREFIX}/bin/python3": f"python{MINOR}"}
    environment = [f"PATH=/{PREFIX}/bin:/bin", f"PYTHON_VERSION={MINOR}.0"]
    return write_image(folder, [_layer(files, links)], environment, ["amd64"])


def make_node_base(folder: Path, node: Path, npm: Path, cache: Path) -> Path:
    """Write a layout with this machine's Node and npm, and with npm's cache, which it shall take all packages from."""
    start = folder.with_suffix(".npm")
    start.write_text("#!/usr/bin/node\nrequire('/npm/lib/cli.js')(process);\n")  # npm's own needs /usr/bin/env
    files = [("usr/bin/node", node), ("usr/bin/npm", start)]
    files += [(str(library).lstrip("/"), library) for library in _libraries([node])]
    files += [(f"npm/{path.relative_to(npm)}", path) for path in npm.rglob("*") if path.is_file()]
    files += [(f"cache/{path.relative_to(cache)}", path) for path in cache.glob("_cacache/**/*") if path.is_file()]
    environment = ["PATH=/usr/bin:/bin", "HOME=/tmp", "npm_config_cache=/cache", "npm_config_offline=true"]
    return write_image(folder, [_layer(sorted(set(files)), {})], environment, ["amd64"])


def write_image(
    folder: Path, layers: list[tuple[bytes, str]], environment: list[str], architectures: Iterable[str]
) -> Path:
    """Write an image of some layers, each with the digest of what is in it, as a layout."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    manifests = []
    for architecture in architectures:
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Env": environment},
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]},
            "history": [{"created_by": "a test"} for _ in layers],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _blob(blobs, json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
            "layers": [_blob(blobs, layer, "application/vnd.oci.image.layer.v1.tar+gzip") for layer, _ in layers],
        }
        described = _blob(blobs, json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
        manifests.append(described | {"platform": {"architecture": architecture, "os": "linux"}})
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
    entry = _blob(blobs, json.dumps(index).encode(), "application/vnd.oci.image.index.v1+json")
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


def _blob(blobs: Path, content: bytes, media_type: str) -> dict[str, object]:
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def _files() -> Iterator[tuple[str, Path]]:
    """Yield what the image has, by the path in it."""
    python = Path(sys.executable).resolve()
    yield f"{PREFIX}/bin/python{MINOR}", python
    shell = Path("/bin/sh").resolve()
    yield "bin/sh", shell
    stdlib = Path(sysconfig.get_path("stdlib"))
    extensions = []
    for place, folders, names in os.walk(stdlib):
        folders[:] = [name for name in folders if name not in LEFT_OUT and not name.startswith("config-")]
        for name in names:
            path = Path(place) / name
            yield f"{PREFIX}/lib/python{MINOR}/{path.relative_to(stdlib)}", path
            if name.endswith(".so"):
                extensions.append(path)
    for library in _libraries([python, shell, *extensions]):
        if library.name.startswith("libpython"):
            yield f"{PREFIX}/lib/{library.name}", library
        else:
            yield str(library).lstrip("/"), library
    for name in (
        "libstdc++.so.6",
        "libgcc_s.so.1",
        "librt.so.1",
        "libpthread.so.0",
        "libdl.so.2",
        "libutil.so.1",
    ):  # grpcio has them from the system, too
        yield from ((str(found).lstrip("/"), found) for found in _loader_finds(name))


def _libraries(programs: Iterable[Path]) -> set[Path]:
    """Return all libraries that these need, as ldd tells them."""
    said = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=True).stdout
    return {Path(path) for path in re.findall(r"(?:=> |^\s+)(/\S+) \(", said, re.MULTILINE)}


def _loader_finds(name: str) -> list[Path]:
    said = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    return [Path(path) for path in re.findall(rf"^\s+{re.escape(name)} .*=> (/\S+)$", said, re.MULTILINE)][:1]


def _layer(files: list[tuple[str, Path]], links: dict[str, str]) -> tuple[bytes, str]:
    unpacked = io.BytesIO()
    with tarfile.open(fileobj=unpacked, mode="w", format=tarfile.PAX_FORMAT) as archive:
        paths = [*links, *(path for path, _ in files)]
        folders = {str(parent) for path in paths for parent in Path(path).parents if str(parent) != "."}
        for folder in sorted(folders | {"tmp", "etc"}):
            _add(archive, folder, tarfile.DIRTYPE, mode=0o1777 if folder == "tmp" else 0o755)
        for path, source in files:
            _add(archive, path, tarfile.REGTYPE, source.read_bytes(), mode=0o755)
        for path, target in links.items():
            _add(archive, path, tarfile.SYMTYPE, target=target)
    return _packed(unpacked.getvalue())


def _packed(content: bytes) -> tuple[bytes, str]:
    return gzip.compress(content, 1, mtime=0), f"sha256:{hashlib.sha256(content).hexdigest()}"


def _add(
    archive: tarfile.TarFile, path: str, kind: bytes, content: bytes = b"", *, mode: int = 0o777, target: str = ""
) -> None:
    member = tarfile.TarInfo(path)
    member.type, member.size, member.mode, member.linkname = kind, len(content), mode, target
    archive.addfile(member, io.BytesIO(content))


if __name__ == "__main__":
    make_base(Path(sys.argv[1]), architectures=sys.argv[2:] or ("amd64",))
