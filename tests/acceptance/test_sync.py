"""Programs that block, as real processes: they fork, are interrupted, and end with their channel open."""

import os
import sys
from pathlib import Path

import pytest

from .processes import Outcome, Processes

HERE = Path(__file__).parent


@pytest.fixture
def gate(tmp_path: Path) -> str:
    """A named pipe, which calls of `Hold` wait for."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return str(path)


async def run(processes: Processes, program: str, *arguments: str, **environment: str) -> Outcome:
    script = str(HERE / "programs" / program)
    process = await processes.spawn(sys.executable, script, *arguments, PYTHONPATH=str(HERE), **environment)
    return Outcome(code=await process.wait(), stdout=process.stdout, stderr=process.stderr)


FORKS = {
    "before_the_first_call": ["child got 1", "parent got 2"],
    "after_the_first_call": ["parent got 1", *["child got 2", "parent got 3"] * 3],
    "of_a_fork": ["parent got 1", "child got 2", "grandchild got 3", "child got 4", "parent got 5"],
    "with_calls_under_way": [
        *["child sees CANCELLED: The call was made before this process was forked off", "child got 1"] * 20,
        "parent got released",
    ],
    "with_a_map": [
        "parent got 0",
        "child raised _InactiveRpcError: The call was made before this process was forked off",
        "parent got the rest",
    ],
    "with_a_subscription": ["child got 1", "child got READY", "parent got 2"],
    "by_multiprocessing": ["parent got 1", "parent got a hundred"],
    "that_ends_as_scripts_end": ["parent got 1", "child got 2", "parent got 2"],
}


@pytest.mark.parametrize("way", FORKS)
async def test_fork(processes: Processes, gate: str, way: str) -> None:
    hub = await processes.hub()
    await processes.worker("cargo", hub)
    outcome = await run(processes, "forking.py", way, hub.address, gate)
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.splitlines() == FORKS[way]
    assert outcome.stderr == ""


async def test_fork_beside_another_channel_is_refused_and_says_why(processes: Processes) -> None:
    hub = await processes.hub()
    await processes.worker("cargo", hub)
    outcome = await run(processes, "forking.py", "beside_another_channel", hub.address)
    assert outcome.code == 0, outcome.stderr
    before, *refused, after = outcome.stdout.splitlines()[1:]
    assert (before, after) == ("parent got 2", "parent got 5")
    assert len(refused) == 2  # the parent's channel, and a new one: the process has no working gRPC at all
    for line in refused:
        assert line.startswith("child raised ConfigurationError: This process was forked while a gRPC channel")
        assert "GRPC_ENABLE_FORK_SUPPORT=1" in line


@pytest.mark.parametrize("support", ["0", "1"])
async def test_fork_beside_an_async_channel_is_refused_and_says_why(processes: Processes, support: str) -> None:
    hub = await processes.hub()
    await processes.worker("cargo", hub)
    outcome = await run(
        processes, "forking.py", "beside_an_async_channel", hub.address, GRPC_ENABLE_FORK_SUPPORT=support
    )
    assert outcome.code == 0, outcome.stderr
    before, refused, after = outcome.stdout.splitlines()[1:]
    assert (before, after) == ("parent got 2", "parent got 5")
    assert refused.startswith("child raised ConfigurationError: This process was forked while grpc.aio was at work")


async def test_fork_beside_another_channel_works_with_the_support_of_grpc(processes: Processes) -> None:
    hub = await processes.hub()
    await processes.worker("cargo", hub)
    outcome = await run(processes, "forking.py", "beside_another_channel", hub.address, GRPC_ENABLE_FORK_SUPPORT="1")
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.splitlines() == [
        "parent got 1",
        "parent got 2",
        "child got 3",
        "child got 4",
        "parent got 5",
    ]


ENDS = {
    "by reaching its end": 0,
    "by sys.exit": 3,
    "with a call under way": 0,
    "with a future under way": 0,
    "with a map half read": 0,
    "with a thread that calls": 0,
    "unable to reach a hub": 0,
    "subscribed": 0,
}


@pytest.mark.parametrize("way", ENDS)
async def test_program_ends_in_silence_with_its_channel_open(processes: Processes, gate: str, way: str) -> None:
    hub = await processes.hub()
    await processes.worker("cargo", hub)
    outcome = await run(processes, "ending.py", way, hub.address, gate)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (ENDS[way], "hello\n", "")


async def test_program_that_fails_shows_its_own_error_alone(processes: Processes, gate: str) -> None:
    hub = await processes.hub()
    await processes.worker("cargo", hub)
    outcome = await run(processes, "ending.py", "by an error", hub.address, gate)
    assert outcome.code == 1
    assert outcome.stderr.count("Traceback") == 1
    assert outcome.stderr.endswith("LookupError: as it says\n")


@pytest.mark.parametrize("where", ["call", "stream", "future", "map"])
async def test_ctrl_c_ends_the_wait_and_the_call(processes: Processes, gate: str, where: str) -> None:
    hub = await processes.hub()
    await processes.worker("cargo", hub, "--slots", "1")
    outcome = await run(processes, "ending.py", f"interrupted in a {where}", hub.address, gate)
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.splitlines() == ["hello", "interrupted", "the slot is free"]
    assert outcome.stderr == ""
