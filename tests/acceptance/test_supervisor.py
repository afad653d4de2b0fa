"""`portcall worker --processes`: processes that die, block, hang and leak, and what callers see of it."""

import asyncio
import os
import random
import re
import signal
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from interop.timeouts import timeouts

import portcall
from portcall.hub import Hub, HubConfig
from portcall.hub.fleet import Fleet
from portcall.hub.sessions import Session, Sessions
from portcall.protos.portcall.v1.fleet_pb2 import WorkerStatus
from portcall.protos.portcall.v1.link_pb2 import ProcessStatus, Welcome

from .ledger_calls import Ledger, Load, until, when_workers
from .processes import APPS, WAIT_S, HubProcess, Processes, WorkerProcess
from .processes import portcall as portcall_command
from .test_cli_mistakes import APPS as MISTAKEN
from .test_cli_worker import can_be_process_1

READY = ProcessStatus.STATE_READY
BLOCKED = ProcessStatus.STATE_BLOCKED

FAST = ("--blocked-after", "1")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


@pytest.fixture
def mistaken(tmp_path: Path) -> Path:
    """A folder of apps that cannot be loaded."""
    for name, text in MISTAKEN.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text))
    return tmp_path


class Pipe:
    """A named pipe that calls of `Hold` and `Block` wait for."""

    def __init__(self, folder: Path, name: str = "pipe") -> None:
        self._path = folder / name
        os.mkfifo(self._path)

    @property
    def request(self) -> bytes:
        return os.fsencode(self._path)

    async def release(self) -> None:
        with suppress(BrokenPipeError):  # who blocks does not read
            await asyncio.to_thread(self._path.write_bytes, b"released")


def states(worker: WorkerStatus) -> list[int]:
    return sorted(process.state for process in worker.processes)


async def when_states(hub: HubProcess, *wanted: int, without: int | None = None) -> WorkerStatus:
    """Wait until the hub's one worker has processes in these states, and none with this id."""

    def is_so(workers: Sequence[WorkerStatus]) -> bool:
        return (
            len(workers) == 1
            and states(workers[0]) == sorted(wanted)
            and without not in {process.pid for process in workers[0].processes}
        )

    [worker] = await when_workers(hub.address, is_so)
    return worker


async def supervised(processes: Processes, hub: HubProcess, app: str, *arguments: str, count: int = 4) -> WorkerProcess:
    """A worker with so many processes, all of them ready."""
    worker = await processes.worker(app, hub, "--processes", str(count), *arguments)
    await when_states(hub, *[READY] * count)
    return worker


def call(channel: Any, method: str) -> Any:
    return channel.unary_unary(f"/acceptance.Moods/{method}")


async def running(channel: Any, method: str, request: bytes) -> tuple[Any, int]:
    """Make a call that goes on; return it, and the process that runs it."""
    stream = channel.unary_stream(f"/acceptance.Moods/{method}")(request)
    return stream, int(await stream.read())


async def running_late(channel: Any, method: str, request: bytes) -> tuple[Any, int]:
    """Make a call that goes on past its deadline; return it once that has passed, and the process that runs it."""
    pids: list[int] = []
    for timeout in timeouts(lambda: bool(pids)):
        stream = channel.unary_stream(f"/acceptance.Moods/{method}")(request, timeout=timeout)
        with suppress(grpc.aio.AioRpcError):
            pids.append(int(await stream.read()))
        assert await stream.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    return stream, pids[0]


async def children_of(worker: WorkerProcess) -> list[psutil.Process]:
    """The processes that a worker has; it may have none for a moment, when all have just been killed."""
    children: list[psutil.Process] = []

    def are_there() -> bool:
        children[:] = psutil.Process(worker.pid).children()
        return bool(children)

    await until(are_there)
    return children


async def pids_that_answer(channel: Any, count: int) -> set[int]:
    replies = await asyncio.gather(*(call(channel, "Who")(b"") for _ in range(count)))
    return {int(reply) for reply in replies}


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def assert_gone(pids: set[int]) -> None:
    assert all(is_gone(pid) for pid in pids)


async def when_gone(pids: set[int]) -> None:
    await until(lambda: all(is_gone(pid) for pid in pids))


def assert_only_running_calls_were_lost(load: Load, ledger: Ledger, kills: int) -> None:
    """What failed had begun. A call may be killed between that and the first line of its handler, one for each kill."""
    lost = {name for name, codes in load.outcomes.items() if codes != [grpc.StatusCode.OK]}
    assert len(lost - set(ledger.counts("begun"))) <= kills


async def test_calls_go_to_all_processes(processes: Processes) -> None:
    hub = await processes.hub()
    worker = await supervised(processes, hub, "moods", "--name", "crane")
    async with portcall.Channel(hub.address) as channel:
        pids = await pids_that_answer(channel, 20)
    [status] = await when_workers(hub.address, lambda workers: workers[0].slots == 40)
    assert {process.pid for process in status.processes} == pids
    assert len(pids) == 4
    assert worker.pid not in pids
    assert (status.name, status.pid) == ("crane", worker.pid)
    listed = await processes.run("fleet", "ls", "--hub", hub.address)
    heading, row = listed.stdout.splitlines()
    assert row[heading.index("PROCESSES") :].split()[0] == "4"


async def test_killed_process_takes_only_what_it_ran(processes: Processes, ledger: Ledger) -> None:
    hub = await processes.hub()
    worker = await supervised(processes, hub, "ledger")
    load = Load(ledger)
    async with load.on(hub.address, clients=20):
        killed: set[int] = set()
        for _ in range(4):
            await load.when_served(50)
            [status] = await when_workers(hub.address, lambda workers: len(workers) == 1)
            victim = next(one.pid for one in status.processes if one.state == READY and one.pid not in killed)
            killed.add(victim)
            os.kill(victim, signal.SIGKILL)
            await worker.line(rf"Process {victim} was killed by SIGKILL")
        await load.when_served(50)
        await when_states(hub, *[READY] * 4)
    load.check()
    assert_only_running_calls_were_lost(load, ledger, kills=len(killed))
    assert "Worker left" not in hub.stderr


@pytest.mark.parametrize("seed", [1, 2])
async def test_calls_end_once_whatever_is_killed(processes: Processes, ledger: Ledger, seed: int) -> None:
    rng = random.Random(seed)
    grace = ("--grace", "0.2")
    hub = await processes.hub(*grace)
    worker = await supervised(processes, hub, "ledger", count=2)
    load = Load(ledger)
    async with load.on(hub.address, clients=10):
        for _ in range(6):
            await load.when_served(rng.randrange(1, 60))
            match rng.choice(["hub", "process", "process", "process", "supervisor"]):
                case "hub":
                    hub.kill()
                    await hub.wait()
                    hub = await processes.hub(*grace, listen=hub.address)
                case "process":
                    rng.choice(await children_of(worker)).kill()
                case "supervisor":
                    worker.kill()
                    await worker.wait()
                    worker = await processes.worker("ledger", hub, "--processes", "2")
        await when_states(hub, READY, READY)
        await load.when_served(20)
    load.check()


async def test_sigterm_ends_it_while_its_hub_is_away(processes: Processes, tmp_path: Path) -> None:
    worker = await processes.start("worker", "moods", "--hub", f"unix:{tmp_path}/nobody.sock", "--processes", "2")
    await worker.line("The hub cannot be reached")
    children = {child.pid for child in psutil.Process(worker.pid).children()}
    worker.terminate()
    assert await worker.wait() == 0
    assert_gone(children)


async def test_blocked_process_is_shown_and_spared_and_comes_back(processes: Processes, tmp_path: Path) -> None:
    hub = await processes.hub()
    worker = await supervised(processes, hub, "moods", *FAST)
    pipe = Pipe(tmp_path)
    async with portcall.Channel(hub.address) as channel:
        stream, blocked = await running(channel, "Block", pipe.request)
        status = await when_states(hub, READY, READY, READY, BLOCKED)
        assert [process.pid for process in status.processes if process.state == BLOCKED] == [blocked]
        await when_workers(hub.address, lambda workers: workers[0].slots == 31)
        await worker.line(rf"Process {blocked} is blocked")
        listed = await processes.run("fleet", "ls", "--hub", hub.address)
        assert "4 (1 blocked)" in listed.stdout
        pids = await pids_that_answer(channel, 31)
        assert len(pids) == 3
        assert blocked not in pids
        await pipe.release()
        assert await stream.read() == b"released"
        assert await stream.code() is grpc.StatusCode.OK
        await worker.line(rf"Process {blocked} answers again")
        await when_workers(hub.address, lambda workers: workers[0].slots == 40)
        assert blocked in await pids_that_answer(channel, 40)


async def test_worker_whose_processes_are_all_blocked_stays_and_calls_wait(
    processes: Processes, tmp_path: Path
) -> None:
    hub = await processes.hub("--ping-interval", "0.5", "--grace", "0.2")
    worker = await supervised(processes, hub, "moods", *FAST, count=2)
    pipes = [Pipe(tmp_path, name) for name in ("one", "two")]
    async with portcall.Channel(hub.address) as channel:
        streams = [(await running(channel, "Block", pipe.request))[0] for pipe in pipes]
        status = await when_states(hub, BLOCKED, BLOCKED)
        assert (status.state, status.running) == (WorkerStatus.STATE_READY, 2)
        await when_workers(hub.address, lambda workers: workers[0].slots == 2)
        waiting = call(channel, "Who")(b"", timeout=WAIT_S)
        # Four pings of the hub are answered by then.
        await worker.line("is blocked")
        await when_workers(hub.address, lambda workers: workers[0].attached_s > 5)
        assert not waiting.done()
        for pipe in pipes:
            await pipe.release()
        for stream in streams:
            assert await stream.read() == b"released"
        assert await waiting
    assert "dropped" not in hub.stderr


async def test_process_over_its_memory_is_replaced_and_loses_nothing(processes: Processes, tmp_path: Path) -> None:
    hub = await processes.hub()
    worker = await supervised(processes, hub, "moods", "--max-memory", "400M", *FAST, count=2)
    pipe = Pipe(tmp_path)
    async with portcall.Channel(hub.address) as channel:
        stream, leaky = await running(channel, "Bloat", pipe.request)
        await worker.line(rf"Process {leaky} uses \d+ MiB of memory, and --max-memory is 400 MiB: replacing it")
        status = await when_states(hub, READY, READY, ProcessStatus.STATE_DRAINING)
        assert leaky not in await pids_that_answer(channel, 20)
        [heir] = [process for process in status.processes if process.restarts]
        assert "--max-memory is 400 MiB" in heir.predecessor_end
        await pipe.release()
        assert await stream.read() == b"released"
        assert await stream.code() is grpc.StatusCode.OK
        await when_gone({leaky})
    assert "killed" not in worker.stderr


async def test_processes_that_have_ended_their_calls_are_replaced_under_load(
    processes: Processes, ledger: Ledger
) -> None:
    hub = await processes.hub()
    worker = await supervised(processes, hub, "ledger", "--max-calls", "50", *FAST, count=2)
    load = Load(ledger)
    async with load.on(hub.address, clients=10):
        for _ in range(4):
            await load.when_served(100)
            await when_workers(hub.address, lambda workers: sum(one.restarts for one in workers[0].processes) >= 4)
    load.check()
    assert {code for codes in load.outcomes.values() for code in codes} == {grpc.StatusCode.OK}
    assert "--max-calls is 50: replacing it" in worker.stderr


async def test_call_that_hangs_past_its_deadline_costs_its_process(processes: Processes) -> None:
    hub = await processes.hub()
    worker = await supervised(processes, hub, "moods", "--hang-limit", "0.3", *FAST, count=2)
    async with portcall.Channel(hub.address) as channel:
        _, hung = await running_late(channel, "Hang", b"")
        await worker.line(rf"Process {hung} hangs in /acceptance.Moods/Hang, which goes on 0.3 s")
        await worker.line(rf"Process {hung} still hangs in 1 call, and runs nothing else: killing it")
        await when_gone({hung})
        await when_states(hub, READY, READY, without=hung)
        assert await call(channel, "Who")(b"")


async def test_blocked_process_that_hangs_past_a_deadline_is_killed(processes: Processes, tmp_path: Path) -> None:
    hub = await processes.hub()
    worker = await supervised(processes, hub, "moods", "--hang-limit", "0.5", *FAST, count=2)
    pipe = Pipe(tmp_path)
    async with portcall.Channel(hub.address) as channel:
        _, hung = await running_late(channel, "Block", pipe.request)
        await worker.line(rf"Process {hung} (hangs in /acceptance.Moods/Block|still hangs in 1 call).* killing it")
        await when_gone({hung})
        await when_states(hub, READY, READY, without=hung)


async def test_process_that_gets_a_sigterm_is_replaced_and_loses_nothing(processes: Processes, tmp_path: Path) -> None:
    hub = await processes.hub()
    worker = await supervised(processes, hub, "moods", count=2)
    pipe = Pipe(tmp_path)
    async with portcall.Channel(hub.address) as channel:
        stream, asked = await running(channel, "Hold", pipe.request)
        os.kill(asked, signal.SIGTERM)
        await worker.line(rf"Process {asked} was asked to end: replacing it")
        await when_states(hub, READY, READY, ProcessStatus.STATE_DRAINING)
        await pipe.release()
        assert await stream.read() == b"released"
        await when_gone({asked})


async def test_killed_supervisor_leaves_no_process(processes: Processes, tmp_path: Path) -> None:
    hub = await processes.hub("--grace", "0.2")
    worker = await supervised(processes, hub, "moods", *FAST)
    pipe = Pipe(tmp_path)
    async with portcall.Channel(hub.address) as channel:
        await running(channel, "Block", pipe.request)
        status = await when_states(hub, READY, READY, READY, BLOCKED)
        worker.kill()
        await worker.wait()
        await when_gone({process.pid for process in status.processes})


@pytest.mark.parametrize("how", ["terminate", "interrupt"])
async def test_running_calls_finish_when_the_worker_is_told_to_stop(
    processes: Processes, tmp_path: Path, how: str
) -> None:
    hub = await processes.hub()
    worker = await supervised(processes, hub, "moods")
    pipe = Pipe(tmp_path)
    async with portcall.Channel(hub.address) as channel:
        stream, _ = await running(channel, "Hold", pipe.request)
        [status] = await when_workers(hub.address, lambda workers: workers[0].running == 1)
        getattr(worker, how)()
        await worker.line("draining for up to 30 s; once more stops at once")
        await when_workers(hub.address, lambda workers: workers[0].state == WorkerStatus.STATE_DRAINING)
        await pipe.release()
        assert await stream.read() == b"released"
        assert await stream.code() is grpc.StatusCode.OK
    assert await worker.wait() == 0
    assert_gone({process.pid for process in status.processes})


async def test_second_signal_stops_at_once(processes: Processes, tmp_path: Path) -> None:
    hub = await processes.hub()
    worker = await supervised(processes, hub, "moods", count=2)
    async with portcall.Channel(hub.address) as channel:
        await running(channel, "Hold", Pipe(tmp_path).request)
        [status] = await when_workers(hub.address, lambda workers: workers[0].running == 1)
        worker.terminate()
        await worker.line("draining")
        worker.terminate()
        assert await worker.wait() == 143
        await when_gone({process.pid for process in status.processes})


async def test_blocked_and_hanging_processes_do_not_keep_a_drained_worker(processes: Processes, tmp_path: Path) -> None:
    hub = await processes.hub()
    worker = await supervised(processes, hub, "moods", "--grace", "0", *FAST, count=2)
    async with portcall.Channel(hub.address) as channel:
        await running(channel, "Block", Pipe(tmp_path).request)
        hanging, _ = await running(channel, "Hang", b"")
        [status] = await when_workers(hub.address, lambda workers: BLOCKED in states(workers[0]))
        worker.terminate()
        assert await worker.wait() == 0
        hanging.cancel()
    assert_gone({process.pid for process in status.processes})


async def test_ends_with_the_process_that_holds_its_stdin(processes: Processes) -> None:
    hub = await processes.hub()
    worker = await supervised(processes, hub, "moods", count=2)
    worker.close_stdin()
    assert await worker.wait() == 0


# --- the app ----------------------------------------------------------------------------------------------------------


def unlogged(stderr: str) -> str:
    """What was said on stderr, but for the log."""
    return "".join(line for line in stderr.splitlines(keepends=True) if " INFO " not in line)


MISTAKES = ["nope", "several.py:three", "fails", "needs", "bare", "elsewhere"]


@pytest.mark.parametrize("app", MISTAKES)
async def test_app_that_cannot_be_loaded_fails_as_with_one_process(
    processes: Processes, mistaken: Path, app: str
) -> None:
    alone = await processes.run("worker", app, folder=mistaken)
    together = await processes.run("worker", app, "--processes", "4", folder=mistaken)
    assert together.code == alone.code == 2
    assert unlogged(together.stderr) == unlogged(alone.stderr) != ""


WRONG = {
    "--processes 0": "invalid value for '--processes': '0' is neither a whole number, 1 or more, nor auto",
    "--processes 2 --max-memory lots": (
        "invalid value for '--max-memory': 'lots' is not a size in bytes, as in 512M or 2G"
    ),
    "--max-calls 5": "--max-calls needs --processes: only a supervisor can replace a process",
}


@pytest.mark.parametrize("options", WRONG)
async def test_option_that_cannot_be_is_one_line(processes: Processes, options: str) -> None:
    done = await processes.run("worker", "moods", *options.split())
    assert done.stderr == f"portcall: error: {WRONG[options]}. See: portcall worker --help\n"
    assert done.code == 2


async def test_more_slots_than_a_worker_may_have_are_refused(processes: Processes) -> None:
    done = await processes.run("worker", "moods", "--processes", "2", "--slots", "600000")
    assert done.stderr == (
        "portcall: error: 2 processes with 600000 slots each; together they may have 1000000."
        " Lower --slots, which is for each process\n"
    )
    assert done.code == 2


async def test_app_that_dies_at_once_is_said_once(processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "dies.py").write_text("import os; os.kill(os.getpid(), 11)")
    outcome = await processes.run("worker", "dies", "--processes", "2", folder=tmp_path)
    assert outcome.code == 1
    assert re.fullmatch(
        r"portcall: error: Process \d+ was killed by SIGSEGV before it could take calls; what it wrote is above\n",
        outcome.stderr,
    )


async def test_app_that_begins_to_fail_is_tried_again_and_again(processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "fickle.py").write_text((APPS / "moods.py").read_text() + "\nassert Path('is_well').exists()\n")
    sign = tmp_path / "is_well"
    sign.touch()
    hub = await processes.hub()
    worker = await processes.worker("fickle", hub, "--processes", "2", folder=tmp_path)
    status = await when_states(hub, READY, READY)
    sign.unlink()
    os.kill(status.processes[0].pid, signal.SIGKILL)
    for _ in range(3):
        await worker.line(r"The next process starts in \d")
    await worker.line(r"Process \d+ ended with exit code 2")
    async with portcall.Channel(hub.address) as channel:
        assert await pids_that_answer(channel, 10) == {status.processes[1].pid}
        sign.touch()
        status = await when_states(hub, READY, READY)
        assert len(await pids_that_answer(channel, 20)) == 2
    assert max(process.restarts for process in status.processes) >= 2


@pytest.mark.parametrize(("how", "code"), [("terminate", 143), ("interrupt", 130)])
async def test_signal_ends_it_while_its_app_is_imported(processes: Processes, how: str, code: int) -> None:
    worker = await processes.start("worker", "slow", "--processes", "2")
    await worker.line("importing")
    [process] = psutil.Process(worker.pid).children()
    getattr(worker, how)()
    assert await worker.wait() == code
    await when_gone({process.pid})


async def test_settings_come_from_the_environment(processes: Processes) -> None:
    hub = await processes.hub()
    settings = {"PORTCALL_HUB": hub.address, "PORTCALL_WORKER_PROCESSES": "2", "PORTCALL_WORKER_SLOTS": "3"}
    await processes.start("worker", "moods", **settings)
    await when_states(hub, READY, READY)
    await when_workers(hub.address, lambda workers: workers[0].slots == 6)


async def test_hub_that_knows_no_reports_gets_none(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    welcome_as_now, reports = Sessions._welcome, []

    def welcome_of_old(sessions: Sessions, session: Session, *, is_resumed: bool) -> Welcome:
        welcome = welcome_as_now(sessions, session, is_resumed=is_resumed)
        welcome.ClearField("takes_reports")
        return welcome

    monkeypatch.setattr(Sessions, "_welcome", welcome_of_old)
    monkeypatch.setattr(Fleet, "note_report", lambda *said: reports.append(said))
    async with Hub(HubConfig(listen="127.0.0.1:0")) as hub:
        worker = await processes.start("worker", "moods", "--hub", hub.address, "--processes", "2", "--exit-with-stdin")
        await worker.line("Attached to the hub")
        async with portcall.Channel(hub.address) as channel:
            victim = int(await call(channel, "Who")(b""))
            os.kill(victim, signal.SIGKILL)
            await worker.line("was killed by SIGKILL")
            await until(lambda: len(psutil.Process(worker.pid).children()) == 2)
            assert await call(channel, "Who")(b"")
        worker.terminate()
        assert await worker.wait() == 0
    assert not reports


async def test_hub_that_comes_back_hears_of_the_processes_again(processes: Processes) -> None:
    hub = await processes.hub()
    await supervised(processes, hub, "moods", count=2)
    hub.kill()
    await hub.wait()
    hub = await processes.hub(listen=hub.address)
    await when_states(hub, READY, READY)
    await when_workers(hub.address, lambda workers: workers[0].slots == 20)


async def test_caller_of_a_lost_call_is_told_the_worker_and_the_process(processes: Processes, tmp_path: Path) -> None:
    hub = await processes.hub()
    await supervised(processes, hub, "moods", "--name", "crane", count=2)
    async with portcall.Channel(hub.address) as channel:
        stream, pid = await running(channel, "Hold", Pipe(tmp_path).request)
        os.kill(pid, signal.SIGKILL)
        assert await stream.code() is grpc.StatusCode.UNAVAILABLE
        assert await stream.details() == f"Worker crane (process {pid}) was lost while it ran this call"


async def test_worker_of_one_process_says_nothing_of_processes(processes: Processes) -> None:
    hub = await processes.hub()
    await processes.worker("moods", hub)
    [status] = await when_workers(hub.address, bool)
    assert not status.processes
    listed = await processes.run("fleet", "ls", "--hub", hub.address)
    heading, row = listed.stdout.splitlines()
    assert row[heading.index("PROCESSES") :].split()[0] == "-"


@pytest.mark.skipif(not can_be_process_1(), reason="needs the right to make a process namespace")
class TestAsProcess1:
    """To process 1, as which a container's command runs, the kernel leaves the orphans of its namespace."""

    async def test_sigterm_drains_and_orphans_are_reaped(self, processes: Processes) -> None:
        hub = await processes.hub()
        command = portcall_command("worker", "moods", "--hub", hub.address, "--processes", "2")
        outer = await processes.spawn("unshare", "--pid", "--fork", "--mount-proc", *command)
        await outer.line("Attached")
        [first] = psutil.Process(outer.pid).children()
        async with portcall.Channel(hub.address) as channel:
            for _ in range(3):
                await call(channel, "LeaveOrphan")(b"")
        # Their standard input is at its end, so they end; nobody but process 1 can reap them.
        await until(lambda: len(first.children()) == 2 and not zombies_of(first))
        first.terminate()
        assert await outer.wait() == 0


def zombies_of(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in process.children() if child.status() == psutil.STATUS_ZOMBIE]
