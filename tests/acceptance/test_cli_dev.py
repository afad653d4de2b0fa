"""`portcall dev`: it shows calls, reloads, outlives every mistake, and leaves nothing behind."""

import asyncio
import json
import textwrap
from pathlib import Path

import grpc
import psutil
import pytest

from .processes import Process, Processes

PROTO = """\
syntax = "proto3";
package shout;
service Shouter { rpc Shout(Text) returns (Text); }
message Text { string text = 1; }
"""

APP = """\
    import asyncio
    import os
    import portcall
    from shout_pb2 import Text
    from shout_pb2_grpc import ShouterServicer, add_ShouterServicer_to_server

    class Shouter(ShouterServicer):
        async def Shout(self, request, context):
            if request.text == "boom":
                raise ValueError("too loud")
            if request.text == "wait":
                print("waiting")
                await asyncio.sleep(600)
            return Text(text=request.text + VERSION)

    VERSION = "!"
    print("app", VERSION, os.environ["PORTCALL_HUB"])
    worker = portcall.Worker()
    add_ShouterServicer_to_server(Shouter(), worker)
    """


class Project:
    """A folder with an app and its contract."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("protos/shout.proto", PROTO)
        self.write("app.py", APP)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def version(self, version: str) -> None:
        """Save the app with another version of its reply, which it prints when it is imported."""
        self.write("app.py", APP.replace('"!"', f'"{version}"'))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


async def start(processes: Processes, project: Project, *arguments: str) -> tuple[Process, str]:
    """Start `portcall dev` with a watch on its processes; return it, once the app is ready, and the hub's address."""
    command = ("dev", "app:worker", "--listen", "127.0.0.1:0", "--protos", "protos", "--out", ".", "--exit-with-stdin")
    dev = await processes.start(*command, *arguments, folder=project.folder, DEV_MARK=str(project.folder))
    address = (await dev.line(r"127\.0\.0\.1:\d+"))[0]
    await dev.line("Worker app:worker serves shout.Shouter$" if "--json" not in arguments else '"ready"')
    return dev, address


async def shout(address: str, text: str) -> str:
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary("/shout.Shouter/Shout")
        reply = await call(b"\n" + bytes([len(text)]) + text.encode())
        assert isinstance(reply, bytes)
        return reply[2:].decode()


def descendants(mark: Path) -> list[psutil.Process]:
    """Return all processes that live and were started, at whatever remove, with this mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DEV_MARK") == str(mark):
                found.append(process)
        except psutil.Error:
            continue
    return found


async def test_shows_each_call_in_a_line(processes: Processes, project: Project) -> None:
    dev, address = await start(processes, project)
    await dev.line(f"^app ! {address}$")
    await dev.line(r"^Compiled into \.: 4 files written$")
    assert await shout(address, "hi") == "hi!"
    await dev.line(
        r"^\d\d:\d\d:\d\d\.\d{3}  shout\.Shouter/Shout  unary          OK  \d+\.\d ms  4 B -> 5 B  127\.0\.0\.1:\d+$"
    )
    with pytest.raises(grpc.aio.AioRpcError):
        await shout(address, "boom")
    await dev.line("UNKNOWN  .*  Unexpected <class 'ValueError'>: too loud$")
    await dev.line("^ValueError: too loud$")
    assert dev.stdout.count("\nWorker app:worker serves") == 1  # what it wrote itself is no change


async def test_speaks_json_alone_to_programs(processes: Processes, project: Project) -> None:
    dev, address = await start(processes, project, "--json")
    await shout(address, "hi")
    await dev.line('"event": "call"')
    project.version("?")
    await dev.line('"changed"')
    dev.interrupt()
    assert await dev.wait() == 0
    events = [json.loads(line) for line in dev.stdout.splitlines()]
    assert [event["event"] for event in events][:5] == ["hub", "compiled", "ready", "call", "changed"]
    assert events[3]["status"] == "OK"
    assert events[4]["paths"] == ["app.py"]
    assert "app !" in dev.stderr


async def test_worker_keeps_its_settings_and_no_others(processes: Processes, project: Project) -> None:
    settings = {"PORTCALL_WORKER_NAME": "crane", "PORTCALL_HUB": "elsewhere:1", "PORTCALL_HUB_LISTEN": "nonsense"}
    shown = "print(sorted(each for each in os.environ if each.startswith('PORTCALL_')))\n"
    project.write("app.py", "import os\n" + shown + textwrap.dedent(APP))
    command = ("dev", "app", "--listen", "127.0.0.1:0", "--protos", "protos", "--out", ".")
    dev = await processes.start(*command, folder=project.folder, **settings)
    await dev.line(r"^\['PORTCALL_CONFIG', 'PORTCALL_HUB', 'PORTCALL_WORKER_NAME'\]$")
    await dev.line("^Worker app serves")


async def test_calls_reach_the_new_code_after_a_change(processes: Processes, project: Project) -> None:
    dev, address = await start(processes, project)
    old = descendants(project.folder)
    project.version("?")
    await dev.line("^Changed: app.py$")
    await dev.line(r"^app \?")
    assert await shout(address, "hi") == "hi?"
    kept = [process for process in descendants(project.folder) if process in old]
    assert [process.pid for process in kept] == [dev.pid]


async def test_call_that_comes_during_a_reload_waits_for_it(processes: Processes, project: Project) -> None:
    dev, address = await start(processes, project)
    gate = project.folder / "gate"
    held = f"import pathlib\nprint('held')\nwhile not pathlib.Path({str(gate)!r}).exists(): pass\n"
    project.write("app.py", held + textwrap.dedent(APP))
    await dev.line("^held$")
    call = asyncio.create_task(shout(address, "hi"))
    gate.touch()
    assert await call == "hi!"


async def test_quick_changes_make_one_reload(processes: Processes, project: Project) -> None:
    dev, _ = await start(processes, project)
    psutil.Process(dev.pid).suspend()  # so that all of them come between two looks, however busy the machine is
    for number in range(10):
        project.write(f"part{number}.py", f"number = {number}")
    project.version("last")
    psutil.Process(dev.pid).resume()
    await dev.line("^app last")
    assert dev.stdout.count("Changed: ") == 1
    assert "part0.py, " in dev.stdout


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("def (", "SyntaxError: invalid syntax"),
        ("import nothing_of_the_kind", "ModuleNotFoundError: No module named"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "The worker was killed by SIGKILL"),
        ("import sys; sys.exit(0)", "SystemExit"),
    ],
)
async def test_mistake_waits_for_the_change_that_mends_it(
    processes: Processes, project: Project, text: str, word: str
) -> None:
    dev, address = await start(processes, project)
    project.write("app.py", text)
    await dev.line(word)
    await dev.line("The next change starts it again$")
    project.version("mended")
    await dev.line("^app mended")
    assert await shout(address, "hi") == "himended"


async def test_call_ends_when_its_worker_is_killed(processes: Processes, project: Project) -> None:
    dev, address = await start(processes, project)
    call = asyncio.create_task(shout(address, "wait"))
    await dev.line("^waiting$")
    (worker,) = [process for process in descendants(project.folder) if process.pid != dev.pid]
    worker.kill()
    await dev.line("^The worker was killed by SIGKILL. The next change starts it again$")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    await dev.line(r"shout\.Shouter/Shout  unary          UNAVAILABLE  ")


async def test_other_folders_are_watched_if_told_to(processes: Processes, project: Project, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "library").mkdir()
    inner = Project(tmp_path / "app")
    dev, _ = await start(processes, inner, "--watch-dir", "../library")
    (tmp_path / "library/part.py").touch()
    await dev.line("^Changed: ../library/part.py$")


async def test_contract_is_compiled_when_it_changes(processes: Processes, project: Project) -> None:
    dev, _ = await start(processes, project)
    project.write("protos/shout.proto", PROTO.replace("rpc Shout", "rpc Shout(Text) returns (Nope); rpc Whisper"))
    await dev.line('^protos/shout.proto:3:44: error: "Nope" is not defined.$')
    project.write("protos/shout.proto", PROTO.replace("Shouter", "Loud"))
    await dev.line("^Compiled into .: 3 files written$")
    await dev.line("ImportError: cannot import name 'ShouterServicer'")
    project.write("app.py", APP.replace("Shouter", "Loud"))
    await dev.line("^Worker app:worker serves shout.Loud$")


WITH_OPTIONS = PROTO.replace(
    "service",
    'import "portcall/v1/options.proto";\nservice',
).replace("returns (Text);", "returns (Text) { option (portcall.v1.job) = { attempts: 8 }; }")


async def test_options_for_jobs_are_read_and_wrong_ones_are_told_and_wait(
    processes: Processes, project: Project
) -> None:
    """The options' own file is nowhere in the project: it comes with Portcall."""
    project.write("protos/shout.proto", WITH_OPTIONS)
    store = ("--store", str(project.folder / "jobs.db"))
    dev, address = await start(processes, project, *store)
    submit = ("jobs", "submit", "shout.Shouter/Shout", '{"text": "hi"}', "--wait", "--hub", address)
    assert (await processes.run(*submit)).stdout == '{"text":"hi!"}\n'
    for wrong, words in {
        "attempts: 0": r"^protos/shout.proto:4:\d+: error: attempts is 0; it must be 1 to 1,000$",
        "atempts: 8": r'^protos/shout.proto:4:\d+: error: .* has no field named "atempts"\.$',
        'by: { field: "site" }': r"^protos/shout.proto:4:\d+: error: by.field is 'site', but shout.Text has no field",
    }.items():
        project.write("protos/shout.proto", WITH_OPTIONS.replace("attempts: 8", wrong))
        await dev.line(words)
        assert (await processes.run(*submit)).stdout == '{"text":"hi!"}\n'  # the last good one goes on
    project.write("protos/shout.proto", WITH_OPTIONS)
    await dev.line(r"^Compiled into \.: as it was before the error$")
    project.write("protos/shout.proto", WITH_OPTIONS.replace("attempts: 8", "attempts: 1"))
    await dev.line(r"^Compiled into \.: 1 file written$")
    project.version("?")
    await dev.line(r"^app \?")
    assert (await processes.run(*submit)).stdout == '{"text":"hi?"}\n'
    dev.interrupt()
    assert await dev.wait() == 0


async def test_app_that_is_broken_from_the_start_is_waited_for(processes: Processes, project: Project) -> None:
    project.write("app.py", "broken(")
    dev = await processes.start(
        "dev", "app", "--listen", "127.0.0.1:0", "--protos", "protos", "--out", ".", folder=project.folder
    )
    await dev.line("SyntaxError")
    await dev.line("The next change starts it again$")
    project.version("!")
    await dev.line("^Worker app serves shout.Shouter$")


@pytest.mark.parametrize("signal", ["interrupt", "terminate"])
async def test_leaves_no_process_when_it_is_told_to_stop(processes: Processes, project: Project, signal: str) -> None:
    spawn = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    project.write("app.py", spawn + textwrap.dedent(APP))
    dev, _ = await start(processes, project)
    assert len(descendants(project.folder)) == 3
    getattr(dev, signal)()
    assert await dev.wait() == 0
    assert not descendants(project.folder)


async def test_second_signal_ends_all_at_once(processes: Processes, project: Project) -> None:
    dev, address = await start(processes, project, "--grace", "600")
    call = asyncio.create_task(shout(address, "wait"))
    await dev.line("^waiting$")
    dev.interrupt()
    await dev.line("^Stopping; once more ends it at once$")
    dev.interrupt()
    assert await dev.wait() == 130
    assert not descendants(project.folder)
    with pytest.raises(grpc.aio.AioRpcError):
        await call


async def test_leaves_no_process_when_it_is_killed(processes: Processes, project: Project) -> None:
    dev, _ = await start(processes, project)
    dev.kill()
    assert await dev.wait() == -9
    _, alive = await asyncio.to_thread(psutil.wait_procs, descendants(project.folder), 20)
    assert not alive


MISTAKES = {
    "app.py:": "'app.py:' does not name an app: it should be MODULE:OBJECT, as in app:worker, or path/to/app.py:worker",
    "nope.py": "there is no Python file 'nope.py' (looked in {here})",
    "app --out src": "--out and --include are about --protos, which is not given. See: portcall dev --help",
    "app --protos nope": "invalid value for '--protos': Path 'nope' does not exist. See: portcall dev --help",
    "app --listen nowhere": "cannot listen on 'nowhere': it should be HOST:PORT, as in 127.0.0.1:7070, or unix:PATH",
}


@pytest.mark.parametrize("command", MISTAKES)
async def test_mistake_of_the_command_is_one_line(processes: Processes, project: Project, command: str) -> None:
    done = await processes.run("dev", *command.split(), folder=project.folder)
    assert done.stderr == f"portcall: error: {MISTAKES[command].format(here=project.folder)}\n"
    assert done.code == 2


async def test_port_that_is_taken_is_named(processes: Processes, project: Project) -> None:
    hub = await processes.hub()
    done = await processes.run("dev", "app", "--listen", hub.address, folder=project.folder)
    assert done.stderr.startswith(f"portcall: error: cannot listen on {hub.address}: another process listens there")
    assert done.code == 2
