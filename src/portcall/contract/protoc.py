"""Runs protoc, which reads the files, and reads what it says about them.

protoc runs as a process of its own: in this one it would write to file descriptor 2, and a crash would be ours. It
sees the roots by names of our choice (links in its folder), so that a path with a colon in it can be neither two roots
for it nor a line number for us.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from portcall.contract.installed import InstalledProtos
from portcall.contract.sources import Sources
from portcall.errors import PortcallError

RUN_S_MAX = 300.0
"""How long one run may take."""

TAB_COLUMNS = 8
"""As protoc counts them."""

_DESCRIPTORS = "descriptors"
_PYTHON, _TYPES = "python", "types"


class Severity(Enum):
    """Whether the code can be made all the same."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One thing that the compiler says, and the place in the source."""

    severity: Severity
    words: str
    path: str = ""
    """As the user wrote it; empty if it is about no file."""
    line: int = 0
    """1 for the first; 0 if it is about the file as a whole."""
    column: int = 0
    """1 for the first, in characters."""
    source: str = ""
    """The line."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What protoc made. Nothing, if there are errors."""

    diagnostics: tuple[Diagnostic, ...]
    descriptors: tuple[FileDescriptorProto, ...]
    """Of the files and all that they import, with comments and places."""
    texts: Mapping[str, str]
    """Of the message modules and their types, by path below the output folder."""


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether the code cannot be made."""
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)


def run_protoc(sources: Sources, installed: InstalledProtos) -> Compiled:
    """Have the files compiled.

    Raises:
        PortcallError: protoc crashed, or did not end.
    """
    with tempfile.TemporaryDirectory(prefix="portcall-compile-") as scratch:
        folder = Path(scratch)
        for made in (_PYTHON, _TYPES):
            (folder / made).mkdir()
        links = {f"r{number}": root for number, root in enumerate(sources.roots)}
        for link, root in links.items():
            (folder / link).symlink_to(root.resolve())
        # A file of arguments, since a command line is bounded.
        (folder / "arguments").write_text("\n".join(_arguments(links, installed, sources)), encoding="utf-8")
        said = _run(folder)
        diagnostics = tuple(read_diagnostics(said, links))
        if not (folder / _DESCRIPTORS).exists():
            if not has_errors(diagnostics):
                raise PortcallError(f"protoc has made nothing, and says: {said.strip() or 'nothing'}")
            return Compiled(diagnostics, (), {})
        descriptors = FileDescriptorSet.FromString((folder / _DESCRIPTORS).read_bytes())
        return Compiled(diagnostics, tuple(descriptors.file), dict(_texts(folder)))


def _arguments(links: Mapping[str, Path], installed: InstalledProtos, sources: Sources) -> list[str]:
    return [
        *(f"-I{link}" for link in links),
        *(f"-I{prefix}={folder}" if prefix else f"-I{folder}" for prefix, folder in installed.folders.items()),
        f"--python_out={_PYTHON}",
        f"--pyi_out={_TYPES}",
        f"--descriptor_set_out={_DESCRIPTORS}",
        "--include_imports",
        "--include_source_info",
        *sources.names,
    ]


def _run(folder: Path) -> str:
    command = [sys.executable, "-P", "-W", "ignore", "-m", "grpc_tools.protoc", "@arguments"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=RUN_S_MAX, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise PortcallError(f"protoc has not ended within {RUN_S_MAX:g} s") from None
    said = (done.stderr + done.stdout).decode(errors="replace")
    if done.returncode < 0:
        raise PortcallError(f"protoc was killed by signal {-done.returncode}, and said: {said.strip() or 'nothing'}")
    return said


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    for made in (_PYTHON, _TYPES):
        for place, _, names in os.walk(folder / made):
            for name in names:
                path = Path(place, name)
                yield path.relative_to(folder / made).as_posix(), path.read_text(encoding="utf-8")


# --- what it says ----------------------------------------------------------------------------------------------------

_PLACED = re.compile(r"(?P<link>r\d+)/(?P<name>.+?\.proto):(?:(?P<line>\d+):(?P<column>\d+):)? (?P<words>.*)")
_LOGGED = re.compile(r"(?P<level>[WEF])\d{4} \S+ +\d+ \S+?:\d+\] (?P<words>.*)")
_LOG_PREAMBLE = "WARNING: All log messages before absl::InitializeLog()"
_WARNING = "warning: "


def read_diagnostics(said: str, links: Mapping[str, Path]) -> Iterator[Diagnostic]:
    """Read protoc's output. What it says again, or of itself alone, is left out."""
    seen: set[str] = set()
    for line in said.splitlines():
        if not line.strip() or line.startswith(_LOG_PREAMBLE) or line in seen:
            continue
        seen.add(line)
        if match := _PLACED.fullmatch(line):
            severity, words = _severity(match["words"])
            path = links[match["link"]] / match["name"]
            if match["line"]:
                yield diagnose(severity, words, path, int(match["line"]), int(match["column"]))
            else:
                yield Diagnostic(severity=severity, words=words, path=str(path))
        elif match := _LOGGED.fullmatch(line):
            yield Diagnostic(
                severity=Severity.WARNING if match["level"] == "W" else Severity.ERROR, words=match["words"]
            )
        else:
            severity, words = _severity(line)
            yield Diagnostic(severity=severity, words=words)


def _severity(words: str) -> tuple[Severity, str]:
    is_warning = words.startswith(_WARNING)
    return (Severity.WARNING, words.removeprefix(_WARNING)) if is_warning else (Severity.ERROR, words)


def diagnose(severity: Severity, words: str, path: Path, line: int, column: int) -> Diagnostic:
    """Return a diagnostic with the line of the source; `column` is protoc's, in bytes, with tab stops."""
    try:
        raw = path.read_bytes().split(b"\n")[line - 1].rstrip(b"\r")
    except (OSError, IndexError):
        raw = b""
    return Diagnostic(
        severity=severity,
        words=words,
        path=str(path),
        line=line,
        column=len(_before(raw, column).decode(errors="replace")) + 1,
        source=raw.decode(errors="replace"),
    )


def _before(line: bytes, column: int) -> bytes:
    """Return what stands before a column."""
    at = 1
    for index, byte in enumerate(line):
        if at >= column:
            return line[:index]
        at += TAB_COLUMNS - (at - 1) % TAB_COLUMNS if byte == ord("\t") else 1
    return line
