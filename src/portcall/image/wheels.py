"""A wheel becomes the files that installing it would make (the binary distribution format of PyPA).

Its files stay packed, so that a layer can take them over as they are (`members`); for that reason an installer of
somebody else's, which would unpack them, is not used.
"""

import base64
import configparser
import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from portcall.image.errors import ImageError
from portcall.image.layers import Content, Entry, Packed, Text

INSTALLER = b"portcall\n"
_EXECUTABLE = 0o111
_SCRIPT = """#!{python}
import sys
from {module} import {first}
if __name__ == "__main__":
    sys.argv[0] = sys.argv[0].removesuffix(".exe")
    sys.exit({attribute}())
"""
_ENTRY_POINT = re.compile(r"([\w.]+)\s*:\s*([\w.]+)\s*(?:\[.*\])?")
_METADATA_BYTES_MAX = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the files of a wheel go; paths of a layer, so without a slash at the beginning."""

    packages: str
    scripts: str
    prefix: str
    headers: str
    python: str
    """What scripts are run by; a path of the running system."""

    def of(self, scheme: str, distribution: str) -> str | None:
        """Return the folder for one of a wheel's schemes."""
        return {
            "purelib": self.packages,
            "platlib": self.packages,
            "scripts": self.scripts,
            "data": self.prefix,
            "headers": f"{self.headers}/{distribution}",
        }.get(scheme)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel on the disk that was looked into."""

    path: Path
    sha256: str
    name: str
    version: str
    requires: tuple[Requirement, ...]
    licence: str


def read_wheel(path: Path, sha256: str) -> Wheel:
    """Look into a wheel.

    Raises:
        ImageError: it is none.
    """
    try:
        with zipfile.ZipFile(path) as file:
            metadata = HeaderParser().parsestr(_read(file, f"{_dist_info(file)}/METADATA").decode())
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        raise ImageError(f"{path.name} is no wheel: {error}") from None
    return Wheel(
        path=path,
        sha256=sha256,
        name=canonicalize_name(metadata["Name"]),
        version=metadata["Version"],
        requires=tuple(_requirements(metadata.get_all("Requires-Dist") or [])),
        licence=metadata["License-Expression"] or "",
    )


def _requirements(lines: list[str]) -> Iterator[Requirement]:
    for line in lines:
        try:
            yield Requirement(line)
        except InvalidRequirement:
            continue  # of what it cannot say, nothing follows


def installed_files(wheel: Wheel, places: Places) -> dict[str, Entry]:
    """Return the files of a wheel as entries of a layer.

    Raises:
        ImageError: a file would lie outside of its folder, or nobody knows where to put it.
    """
    with zipfile.ZipFile(wheel.path) as file:
        dist_info = _dist_info(file)
        moved = {place.filename: _place(wheel, place.filename, places, dist_info) for place in _files(file)}
        entries = {moved[place.filename]: _entry(file, place, wheel, places) for place in _files(file)}
        record = _record(file, dist_info)
        scripts = _console_scripts(file, dist_info)
    for name, target in scripts.items():
        entries[f"{places.scripts}/{name}"] = Entry(content=Text(script(target, places.python)), mode=0o755)
    entries[f"{places.packages}/{dist_info}/INSTALLER"] = Entry(content=Text(INSTALLER))
    kept = {moved[name]: row for name, row in record.items() if name in moved}
    entries[f"{places.packages}/{dist_info}/RECORD"] = Entry(
        content=Text(_new_record(entries, kept, places, f"{places.packages}/{dist_info}/RECORD"))
    )
    return entries


def _files(file: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    for place in file.infolist():
        name = PurePosixPath(place.filename)
        is_signature = name.parent.suffix == ".dist-info" and name.name in ("RECORD", "RECORD.jws", "RECORD.p7s")
        if not place.is_dir() and not is_signature:
            yield place


def _place(wheel: Wheel, name: str, places: Places, dist_info: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise ImageError(f"{wheel.path.name} has a file {name!r}, which would lie outside of the environment")
    distribution = dist_info.removesuffix(".dist-info")
    if path.parts[0] != f"{distribution}.data":
        return f"{places.packages}/{path}"
    folder = places.of(path.parts[1], distribution.split("-")[0]) if len(path.parts) > 2 else None  # noqa: PLR2004
    if folder is None:
        raise ImageError(f"{wheel.path.name} has a file {name!r}, of a kind that no wheel should have")
    return str(PurePosixPath(folder, *path.parts[2:]))


def _entry(file: zipfile.ZipFile, place: zipfile.ZipInfo, wheel: Wheel, places: Places) -> Entry:
    parts = PurePosixPath(place.filename).parts
    is_script = parts[0].endswith(".data") and parts[1] == "scripts"
    is_executable = bool((place.external_attr >> 16) & _EXECUTABLE) or is_script
    content: Content = Packed(wheel=wheel.path, name=place.filename, size=place.file_size)
    if is_script and (text := file.read(place)).startswith(b"#!python"):
        content = Text(f"#!{places.python}".encode() + text[text.index(b"\n") :] if b"\n" in text else text)
    return Entry(content=content, mode=0o755 if is_executable else 0o644)


def _dist_info(file: zipfile.ZipFile) -> str:
    folders = {name.partition("/")[0] for name in file.namelist() if ".dist-info/" in name}
    found = [folder for folder in folders if folder.endswith(".dist-info")]
    if len(found) != 1:
        raise KeyError(f"it should have one .dist-info folder, and has {len(found)}")
    return found[0]


def _read(file: zipfile.ZipFile, name: str) -> bytes:
    if file.getinfo(name).file_size > _METADATA_BYTES_MAX:
        raise KeyError(f"{name} is too large")
    return file.read(name)


def _record(file: zipfile.ZipFile, dist_info: str) -> dict[str, tuple[str, str]]:
    name = f"{dist_info}/RECORD"
    if name not in file.namelist():
        return {}
    rows = csv.reader(io.StringIO(_read(file, name).decode()))
    return {row[0]: (row[1], row[2]) for row in rows if len(row) == 3}  # noqa: PLR2004  # path, hash, size


def _new_record(
    entries: Mapping[str, Entry], kept: Mapping[str, tuple[str, str]], places: Places, own_path: str
) -> bytes:
    """Write the list of what was installed, as uninstallers and checks read it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    depth = len(PurePosixPath(places.packages).relative_to(places.prefix).parts)
    for path in sorted({*entries, own_path}):
        shown = (
            str(PurePosixPath(path).relative_to(places.packages))
            if path.startswith(f"{places.packages}/")
            else ("../" * depth + str(PurePosixPath(path).relative_to(places.prefix)))
        )
        content = entries[path].content if path in entries else None
        if isinstance(content, Text):
            digest = base64.urlsafe_b64encode(hashlib.sha256(content.content).digest()).rstrip(b"=").decode()
            writer.writerow((shown, f"sha256={digest}", content.size))
        else:
            writer.writerow((shown, *kept.get(path, ("", ""))))
    return out.getvalue().encode()


def _console_scripts(file: zipfile.ZipFile, dist_info: str) -> dict[str, tuple[str, str]]:
    name = f"{dist_info}/entry_points.txt"
    if name not in file.namelist():
        return {}
    return console_scripts(_read(file, name).decode())


def console_scripts(text: str) -> dict[str, tuple[str, str]]:
    """Return the scripts that an `entry_points.txt` asks for: name to module and attribute."""
    parser = configparser.RawConfigParser(delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the documented way to keep capitals
    parser.read_string(text)
    found = {}
    for section in ("console_scripts", "gui_scripts"):
        for name, value in parser.items(section) if parser.has_section(section) else ():
            match = _ENTRY_POINT.match(value)
            if match and "/" not in name:
                found[name] = (match[1], match[2])
    return found


def script(target: tuple[str, str], python: str) -> bytes:
    """Return the text of a script that calls a module's attribute."""
    module, attribute = target
    return _SCRIPT.format(python=python, module=module, first=attribute.split(".")[0], attribute=attribute).encode()
