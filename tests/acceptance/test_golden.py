"""Help and errors, word for word: see golden/README.md."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest
from pki import Authority

import portcall
from portcall._version import __version__

from .commandlines import commands_in, run_line
from .processes import HubProcess, Processes

GOLDEN = Path(__file__).with_name("golden")
IS_UPDATE = os.environ.get("PORTCALL_GOLDEN") == "update"
EXAMPLES = Path(__file__).parents[2] / "examples"

CASES_AT_ONCE = 3

SERVED = MappingProxyType({"call.golden": ("app", "harbour", "cargo"), "fleet.golden": ("app",)})
"""The workers that a file's hub has; `app` is that of examples/greeter."""

GUARDED = MappingProxyType({"GUARDED": "hub", "EXPIRED": "expired", "ELSEWHERE": "elsewhere"})
"""Variables that name guarded hubs, and the certificate of each."""

TOKENS = MappingProxyType({"worker": "worker-3q2-7wAjNkEXAMPLE", "client": "client-9Kd81nEXAMPLE"})

VARYING = (
    (re.compile(rf"\b{re.escape(__version__)}\b"), "VERSION"),
    (re.compile(r"\d+\.\d ms, of 5 between \d+\.\d and \d+\.\d"), "TRIPS"),
    (re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4} GMT"), "DATE"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}"), "TIME"),
    (re.compile(r"(?<![\w-])[\w-]{43}(?![\w-])"), "SECRET"),
    (re.compile(r"trustme v[\d.]+, Testing (cert|CA) #[\w-]+"), "ISSUED"),
    (re.compile(re.escape(str(Path(portcall.__file__).parent))), "PORTCALL"),
    (re.compile(r"(?<=process )\d+"), "N"),
    (re.compile(r"(?<=at port )\d+|(?<=Hub on 127\.0\.0\.1:)\d+|(?<=reached at 127\.0\.0\.1:)\d+"), "PORT"),
)
"""What differs from run to run whatever the case, and what stands for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the cases of a file find around them."""

    hub: str
    variables: Mapping[str, str]
    """For the command lines; in what these say, each value is shown as its name."""

    async def as_golden(self, command: str, folder: Path) -> str:
        """A command and what came of it, as a golden file has it."""
        folder.mkdir()
        said = await run_line(command, folder=folder, hub=self.hub, variables=self.variables)
        lines = [*(f"1| {line}" for line in said.stdout), *(f"2| {line}" for line in said.stderr)]
        lines += [f"exit {said.code}"] if said.code else []
        names = {self.hub: "HUB", str(folder): "HERE", **{value: name for name, value in self.variables.items()}}
        return "\n".join([f"$ {command}", *(shown(line, names) for line in lines)])


def shown(line: str, names: Mapping[str, str]) -> str:
    """A line, without what differs from run to run."""
    for value, name in names.items():
        line = line.replace(value, name)
    for pattern, name in VARYING:
        line = pattern.sub(name, line)
    return line.rstrip()


@asynccontextmanager
async def surroundings(name: str, text: str, folder: Path, processes: Processes) -> AsyncIterator[Surroundings]:
    """Start what a file's cases need: always a hub, and besides what their command lines name."""
    hub = await processes.hub()
    for app in SERVED.get(name, ()):
        await processes.worker(app, hub, "--name", app, folder=app_folder(app))
    pki = make_pki(folder / "pki")
    variables = {"PKI": str(pki)}
    for variable, certificate in GUARDED.items():
        if f"${variable}" in text:
            variables[variable] = (await guarded_hub(pki, certificate, processes)).address
    async with await asyncio.start_server(_answer_as_http1, "127.0.0.1", 0) as web:
        variables["WEB"] = f"127.0.0.1:{web.sockets[0].getsockname()[1]}"
        yield Surroundings(hub=hub.address, variables=variables)


async def _answer_as_http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    writer.close()


def app_folder(app: str) -> Path:
    return EXAMPLES / "greeter" if app == "app" else Path(__file__).with_name("apps")


def make_pki(folder: Path) -> Path:
    """An authority, another one, certificates in good and bad order, and tokens."""
    authority, _ = Authority(folder), Authority(folder / "other")
    for name, issued in {
        "hub": authority.issue("localhost"),
        "expired": authority.issue("localhost", days_left=-1),
        "elsewhere": authority.issue("elsewhere.example"),
    }.items():
        issued.cert.rename(folder / f"{name}.pem")
        issued.key.rename(folder / f"{name}.key")
    (folder / "tokens").write_text("".join(f"{role} {token} {role}s\n" for role, token in TOKENS.items()))
    for name, token in {**TOKENS, "unknown": "unknown-0123456789abcdef"}.items():
        (folder / f"{name}.token").write_text(f"{token}\n")
        (folder / f"{name}.token").chmod(0o600)
    return folder


async def guarded_hub(pki: Path, certificate: str, processes: Processes) -> HubProcess:
    """A hub that wants TLS and tokens, with one of the certificates."""
    files = {"--tls-cert": f"{certificate}.pem", "--tls-key": f"{certificate}.key", "--token-file": "tokens"}
    options = [part for option, name in files.items() for part in (option, str(pki / name))]
    return await processes.hub(*options, listen="localhost:0")


@pytest.mark.timeout(300)  # a file may have a hundred cases
@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("*.golden")))
async def test_commands_say_what_they_said(processes: Processes, tmp_path: Path, name: str) -> None:
    expected = (GOLDEN / name).read_text()
    comment, commands = commands_in(expected)
    turns = asyncio.Semaphore(CASES_AT_ONCE)
    async with surroundings(name, expected, tmp_path, processes) as around:

        async def case(number: int, command: str) -> str:
            async with turns:
                return await around.as_golden(command, tmp_path / f"{number}")

        cases = await asyncio.gather(*(case(number, command) for number, (command, _) in enumerate(commands)))
    actual = comment + "\n\n".join(cases) + "\n"
    if IS_UPDATE:
        (GOLDEN / name).write_text(actual)
    else:
        assert actual == expected, "golden/README.md says how to take this over"
