"""A Dockerfile that makes an image like ours, for people who want their own. Its digest is another at every build."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from portcall.image.application import APP
from portcall.image.configuration import (
    BYTECODE,
    DATA,
    HEALTH_EVERY_S,
    HEALTH_FROM_S,
    HEALTH_SOCKET,
    HEALTH_TRIES,
    HEALTH_WITHIN_S,
    HUB_LISTEN,
    HUB_STORE,
    USER,
    Kind,
    command_of,
)
from portcall.image.environment import VENV
from portcall.image.layers import Entry, Text
from portcall.image.leaving import LeftOut
from portcall.image.locks import Pin

HEADER = """\
# Equivalent to what 'portcall image build' makes, but for its digest: that depends on the day.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerfilePlan:
    """What the Dockerfile has to say."""

    kind: Kind
    app: str
    base: str
    pins: Sequence[Pin]
    index_options: Sequence[str]
    folder: Path
    python_path: str
    tree: Mapping[str, Entry]
    """The application. What of it is not in the folder, metadata and generated code, the Dockerfile writes."""
    left_out: Sequence[LeftOut] = ()


def merged(selections: Sequence[Sequence[Pin]]) -> list[Pin]:
    """Return the pins of all platforms as one list: each package with the hashes of all its wheels."""
    found: dict[tuple[str, str], set[str]] = {}
    for pin in (pin for selection in selections for pin in selection):
        found.setdefault((pin.name, pin.version), set()).update(pin.sha256)
    return [
        Pin(name=name, version=version, sha256=tuple(sorted(found[name, version]))) for name, version in sorted(found)
    ]


def dockerfile(plan: DockerfilePlan) -> str:
    """Return the text."""
    home = f"/{DATA}" if plan.kind is Kind.HUB else f"/{APP}"
    parts = [HEADER + _warning(plan.left_out), f"FROM {plan.base}", _packages(plan)]
    if plan.kind is Kind.WORKER:
        parts.append("\n".join([f"COPY . /{APP}", *_writing(plan.tree)]))
    if plan.kind is Kind.HUB:
        code = f"import os; os.mkdir('{home}', 0o700); os.chown('{home}', {USER}, {USER})"
        parts.append(f"RUN {json.dumps([f'/{VENV}/bin/python', '-c', code])}")
    parts.append(_environment(plan))
    parts.append(f"USER {USER}:{USER}\nWORKDIR {home}\nSTOPSIGNAL SIGTERM")
    parts.append(_health())
    if plan.kind is Kind.HUB:
        parts.append(f"EXPOSE 7070\nVOLUME {home}")
    entrypoint, command = json.dumps([f"/{VENV}/bin/portcall"]), json.dumps(command_of(plan.kind, plan.app))
    parts.append(f"ENTRYPOINT {entrypoint}\nCMD {command}")
    return "\n\n".join(parts) + "\n"


_WRITE = """\
import os
for path, mode, text in {files}:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as file:
        file.write(text)
    os.chmod(path, mode)
"""


def _writing(tree: Mapping[str, Entry]) -> Iterator[str]:
    """Yield the step that writes the files that are not in the folder, by Python: a base may have no other program."""
    files = [
        (f"/{path}", entry.mode, entry.content.content.decode())
        for path, entry in sorted(tree.items())
        if isinstance(entry.content, Text)
    ]
    if files:
        yield f"RUN {json.dumps([f'/{VENV}/bin/python', '-c', _WRITE.format(files=files)])}"


def _warning(left_out: Sequence[LeftOut]) -> str:
    lines = ["# COPY takes what .dockerignore lets through. Put into that what must not be in an image:"]
    lines += [f"#   {one.path}  ({one.reason})" for one in left_out] or ["#   .git  .env  *.key"]
    return "\n".join(lines)


def _packages(plan: DockerfilePlan) -> str:
    copies, options = _index_options(plan)
    requirements = " \\\n    ".join(shlex.quote(pin.requirement) for pin in plan.pins)
    pip = f"/{VENV}/bin/python -m pip install --no-cache-dir --no-compile --no-deps --require-hashes"
    install = " ".join([pip, "--only-binary=:all:", *map(shlex.quote, options), "-r /dev/stdin"])
    return "\n".join(
        [*copies, f"RUN python3 -m venv /{VENV} && printf '%s\\n' \\\n    {requirements} \\\n    | {install}"]
    )


def _index_options(plan: DockerfilePlan) -> tuple[list[str], list[str]]:
    """Return what has to be copied for pip to find, and the options that say where."""
    copies, options, waits = [], [], False
    for option in plan.index_options:
        path = Path(option)
        if waits and path.is_absolute() and path.is_relative_to(plan.folder.resolve()):
            copies.append(f"COPY {path.relative_to(plan.folder.resolve())} /tmp/wheels")
            options.append("/tmp/wheels")  # noqa: S108  # of the image
        else:
            options.append(option)
        waits = option in ("-f", "--find-links")
    return copies, options


def _environment(plan: DockerfilePlan) -> str:
    variables = {
        "PATH": f"/{VENV}/bin:$PATH",
        "VIRTUAL_ENV": f"/{VENV}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPYCACHEPREFIX": BYTECODE,
        "HOME": "/tmp",  # noqa: S108  # of the container
        "PORTCALL_HEALTH": HEALTH_SOCKET,
    }
    if plan.kind is Kind.WORKER:
        variables["PYTHONPATH"] = plan.python_path
    if plan.kind is Kind.HUB:
        variables |= {"PORTCALL_HUB_LISTEN": HUB_LISTEN, "PORTCALL_HUB_STORE": HUB_STORE}
    return "ENV " + " \\\n    ".join(f"{name}={value}" for name, value in variables.items())


def _health() -> str:
    times = f"--interval={HEALTH_EVERY_S}s --timeout={HEALTH_WITHIN_S}s --start-period={HEALTH_FROM_S}s"
    ask = [f"/{VENV}/bin/python", "-m", "portcall.wire.health"]
    return f"HEALTHCHECK {times} --retries={HEALTH_TRIES} \\\n    CMD {json.dumps(ask)}"
