"""Portcall and what it needs as wheels, and a lock of them, for tests that build images. Made here, without a network.

The wheels are packed from what is installed: the same files, and tags of the same platforms.
"""

import hashlib
import importlib.metadata
import zipfile
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SOURCE = Path(__file__).parents[1] / "src"
LEFT_OUT = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
TIME = (2020, 1, 1, 0, 0, 0)
ARM_TAG = "manylinux_2_17_aarch64"


def make_wheelhouse(folder: Path, *, for_arm: bool = False) -> Path:
    """Write the wheels; with `for_arm` also those for arm64: wrong files under the right names."""
    folder.mkdir(parents=True)
    for name in sorted(needed("portcall")):
        wheel = _pack(importlib.metadata.distribution(name), folder)
        if for_arm and not wheel.stem.endswith("-any"):
            base = wheel.stem.rsplit("-", 1)[0]
            other = folder / f"{base}-{ARM_TAG}.whl"
            other.write_bytes(wheel.read_bytes())
            with zipfile.ZipFile(other, "a") as file:
                file.comment = b"another file"
    return folder


def requirements(wheelhouse: Path) -> str:
    """Return a lock of all wheels of a folder: requirements with hashes."""
    pins: dict[str, list[str]] = {}
    for wheel in sorted(wheelhouse.glob("*.whl")):
        name, version, *_ = wheel.name.split("-")
        pins.setdefault(f"{canonicalize_name(name)}=={version}", []).append(sha256(wheel))
    lines = [" \\\n    ".join([pin, *(f"--hash=sha256:{digest}" for digest in found)]) for pin, found in pins.items()]
    return "\n".join([f"--no-index\n--find-links {wheelhouse}", *lines]) + "\n"


def pylock(wheelhouse: Path) -> str:
    """Return a lock of all wheels of a folder, by PEP 751."""
    found: dict[tuple[str, str], list[Path]] = {}
    for wheel in sorted(wheelhouse.glob("*.whl")):
        name, version, *_ = wheel.name.split("-")
        found.setdefault((canonicalize_name(name), version), []).append(wheel)
    lines = ['lock-version = "1.0"', 'created-by = "tests"']
    for (name, version), wheels in found.items():
        lines += ["[[packages]]", f'name = "{name}"', f'version = "{version}"']
        for wheel in wheels:
            lines += ["[[packages.wheels]]", f'name = "{wheel.name}"', f'path = "{wheel}"']
            lines += [f'hashes = {{sha256 = "{sha256(wheel)}"}}']
    return "\n".join(lines) + "\n"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def needed(name: str) -> set[str]:
    """Return a distribution and all that it requires here."""
    found: set[str] = set()
    waiting = [canonicalize_name(name)]
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        found.add(one)
        for line in importlib.metadata.distribution(one).requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(requirement.name))
    return found


def _pack(distribution: importlib.metadata.Distribution, folder: Path) -> Path:
    name = distribution.name.replace("-", "_").replace(".", "_").lower()
    dist_info = f"{name}-{distribution.version}.dist-info"
    tags = [line.removeprefix("Tag: ") for line in str(distribution.read_text("WHEEL")).splitlines() if "Tag: " in line]
    python, abi, _ = tags[0].split("-")
    platforms = ".".join(dict.fromkeys(tag.split("-")[2] for tag in tags))
    pythons = ".".join(dict.fromkeys(tag.split("-")[0] for tag in tags)) or python
    path = folder / f"{name}-{distribution.version}-{pythons}-{abi}-{platforms}.whl"
    contents = dict(sorted(_contents(distribution, dist_info)))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as wheel:
        for place, content in contents.items():
            wheel.writestr(zipfile.ZipInfo(place, TIME), content, zipfile.ZIP_DEFLATED)
        record = "".join(f"{place},,\n" for place in [*contents, f"{dist_info}/RECORD"])
        wheel.writestr(zipfile.ZipInfo(f"{dist_info}/RECORD", TIME), record)
    return path


def _contents(distribution: importlib.metadata.Distribution, dist_info: str) -> Iterator[tuple[str, bytes]]:
    if distribution.name == "portcall":  # installed in place: its files are those of the source
        for path in SOURCE.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(SOURCE)), path.read_bytes()
    for file in distribution.files or ():
        place = Path(str(file))
        if ".." in place.parts or "__pycache__" in place.parts or place.name.endswith((".pyc", ".pth")):
            continue
        if place.parent.suffix == ".dist-info" and place.name in LEFT_OUT:
            continue
        inside = Path(dist_info, *place.parts[1:]) if place.parts[0].endswith(".dist-info") else place
        yield str(inside), Path(str(distribution.locate_file(file))).read_bytes()
