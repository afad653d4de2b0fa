"""Completion as the shells do it, with the scripts that `portcall completion` prints."""

import asyncio
import os
import pty
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from .processes import WAIT_S, Processes

METHODS = [
    "harbour.Port/Inspect",
    "harbour.Port/Watch",
    "harbour.Port/Load",
    "harbour.Port/Weigh",
    "harbour.Port/Refuse",
]

BELL = "\a"

PROGRAM = f"""\
#!{sys.executable}
from portcall.cli.call import completing
from portcall.cli.main import main

completing.ANSWER_S = {WAIT_S}
main()
"""
"""What is installed as `portcall`, for somebody who is patient: a busy machine takes longer than people wait."""

ASK_BASH = """
eval "$(portcall completion bash)"
COMP_LINE=$1 COMP_POINT=${#1}
_portcall_completion portcall
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def commands(tmp_path: Path) -> str:
    """A PATH with `portcall` on it, as installed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "portcall"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_script_is_the_shell_s_own_language(processes: Processes, tmp_path: Path, shell: str) -> None:
    done = await processes.run("completion", shell)
    assert done.code == 0
    assert "_portcall_completion" in done.stdout
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here to read it")
    (tmp_path / "script").write_text(done.stdout)
    read = await processes.spawn(shell, "-n", str(tmp_path / "script"))
    assert await read.wait() == 0, read.stderr


async def test_bash_completes(processes: Processes, commands: str) -> None:
    hub = await processes.hub()
    await processes.worker("harbour", hub)
    await processes.worker("cargo", hub)
    at = f"--hub {hub.address}"
    for line, offered in {
        "portcall c": ["compile", "call", "completion", "config"],
        "portcall completion ": ["bash", "zsh", "fish"],
        "portcall call --emit": ["--emit-defaults"],
        f"portcall call {at} harb": METHODS,
        f"portcall call --hub={hub.address} harbour.Port/W": ["harbour.Port/Watch", "harbour.Port/Weigh"],
        f"PORTCALL_HUB=nowhere portcall call {at} harbour.Port/L": ["harbour.Port/Load"],
        f"portcall call {at} --list harb": ["harbour.Port"],
        f"portcall call {at} --describe harbour.M": ["harbour.Manifest", "harbour.Manifest.Stowage"],
        f"portcall call {at} acceptance.": [],
        f"portcall call {at} harbour.Port/Load ": [],
        "portcall call --hub 127.0.0.1:1 harb": [],
        "portcall call --hub nonsense harb": [],
        "portcall call --protoset nothing.bin harb": [],
    }.items():
        asked = await processes.spawn("bash", "--norc", "-c", ASK_BASH, "bash", line, PATH=commands)
        assert await asked.wait() == 0
        assert (line, asked.stdout.split()) == (line, offered)
        assert asked.stderr == ""


class Terminal:
    """A program on a terminal, and all that it has shown."""

    def __init__(self, main: int) -> None:
        self._main = main
        self._shown = ""
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(main, self._read)

    def type(self, keys: str) -> None:
        os.write(self._main, keys.encode())

    async def shows(self, text: str) -> None:
        """Wait until it has shown this."""
        try:
            async with asyncio.timeout(WAIT_S):
                while text not in self._shown:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"it has not shown {text!r} but:\n{self._shown}") from None

    def _read(self) -> None:
        self._shown += os.read(self._main, 4_096).decode(errors="replace").replace(BELL, "")
        self._news.set()


@asynccontextmanager
async def terminal(*command: str, **environment: str) -> AsyncIterator[Terminal]:
    main, end = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *command, stdin=end, stdout=end, stderr=end, start_new_session=True, env={**os.environ, **environment}
    )
    try:
        yield Terminal(main)
    finally:
        asyncio.get_running_loop().remove_reader(main)
        process.kill()
        await process.wait()
        os.close(main)
        os.close(end)


SHELLS = {
    "bash": (("--norc", "--noprofile", "-i"), 'eval "$(portcall completion bash)"'),
    "zsh": (("-f", "-i"), 'autoload -U compinit; compinit -u -D; eval "$(portcall completion zsh)"'),
}


@pytest.mark.parametrize("shell", SHELLS)
async def test_shell_completes_what_is_typed_at_it(
    processes: Processes, commands: str, tmp_path: Path, shell: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    hub = await processes.hub()
    await processes.worker("harbour", hub)
    flags, setup = SHELLS[shell]
    environment = {"PATH": commands, "PORTCALL_HUB": hub.address, "HOME": str(tmp_path), "TERM": "dumb"}
    async with terminal(shell, *flags, **environment) as typed:
        typed.type(f'{setup}; echo rea""dy\n')
        await typed.shows("ready\r\n")
        typed.type("portcall call harbour.Port/L\t")
        await typed.shows("harbour.Port/Load")
        typed.type("'{}'\n")
        await typed.shows('"crates": "1"')


async def test_fish_completes(processes: Processes, commands: str, tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("there is no fish here")
    hub = await processes.hub()
    await processes.worker("harbour", hub)
    script = f'portcall completion fish | source; complete -C "portcall call --hub {hub.address} harb"'
    asked = await processes.spawn("fish", "--no-config", "-c", script, PATH=commands, HOME=str(tmp_path))
    assert await asked.wait() == 0
    assert sorted(asked.stdout.split()) == sorted(METHODS)
