"""Forks with a channel, in the way that the first argument names, and says what comes of it."""

import asyncio
import os
import sys
import threading
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import grpc
from programs.cargo import Cargo, say

import portcall


def in_child(use: Any) -> None:
    """Fork, and have this done in the child; return when that is over."""
    child = os.fork()
    if not child:
        try:
            use()
        except (grpc.RpcError, portcall.PortcallError) as error:
            details = error.details() if isinstance(error, grpc.Call) else str(error)
            say(f"child raised {type(error).__name__}: {details}")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0, status


def got(name: str, reply: bytes) -> None:
    say(f"{name} got {reply.decode()}")


def before_the_first_call(channel: portcall.sync.Channel) -> None:
    echo = Cargo(channel).Echo
    in_child(lambda: got("child", echo(b"1")))
    got("parent", echo(b"2"))


def after_the_first_call(channel: portcall.sync.Channel) -> None:
    echo = Cargo(channel).Echo
    got("parent", echo(b"1"))
    for _ in range(3):
        in_child(lambda: got("child", echo(b"2")))
        got("parent", echo(b"3"))


def of_a_fork(channel: portcall.sync.Channel) -> None:
    echo = Cargo(channel).Echo
    got("parent", echo(b"1"))

    def fork_again() -> None:
        got("child", echo(b"2"))
        in_child(lambda: got("grandchild", echo(b"3")))
        got("child", echo(b"4"))

    in_child(fork_again)
    got("parent", echo(b"5"))


def with_calls_under_way(channel: portcall.sync.Channel) -> None:
    """A stream that waits, a future, and threads that call all the while."""
    stub = Cargo(channel)
    held = stub.Hold(sys.argv[3].encode())
    assert next(held) == b"running"
    told: list[Any] = []
    held.add_done_callback(told.append)
    is_over = threading.Event()
    replies: list[bool] = []

    def keep_calling() -> None:
        while not is_over.is_set():
            replies.append(stub.Echo(b"beside") == stub.Echo.future(b"beside").result() == b"beside")

    threads = [threading.Thread(target=keep_calling) for _ in range(4)]
    for thread in threads:
        thread.start()

    def use() -> None:
        try:
            next(held)
        except grpc.RpcError:
            say(f"child sees {held.code().name}: {held.details()}")
        got("child", stub.Echo(b"1"))

    for _ in range(20):
        in_child(use)
    is_over.set()
    for thread in threads:
        thread.join()
    assert all(replies)
    assert told == []
    Path(sys.argv[3]).write_bytes(b"released")
    got("parent", next(held))


def with_a_map(channel: portcall.sync.Channel) -> None:
    replies = Cargo(channel).Echo.map((b"%d" % index for index in range(1000)), limit=100)
    got("parent", next(replies))

    def use() -> None:
        for _ in replies:
            pass

    in_child(use)
    assert [int(reply) for reply in replies] == list(range(1, 1000))
    got("parent", b"the rest")


def with_a_subscription(channel: portcall.sync.Channel) -> None:
    states: list[str] = []
    is_ready = threading.Event()

    def note(state: grpc.ChannelConnectivity) -> None:
        states.append(state.name)
        if state is grpc.ChannelConnectivity.READY:
            is_ready.set()

    channel.subscribe(note, try_to_connect=True)
    is_ready.wait()

    def use() -> None:
        is_ready.clear()
        got("child", Cargo(channel).Echo(b"1"))
        is_ready.wait()
        got("child", b"READY")

    in_child(use)
    got("parent", Cargo(channel).Echo(b"2"))


def by_multiprocessing(channel: portcall.sync.Channel) -> None:
    """As many programs do: a pool of processes, forked after the parent has called, each with the parent's channel."""
    global echo  # noqa: PLW0603  # what a forked pool inherits
    echo = Cargo(channel).Echo
    got("parent", echo(b"1"))
    with get_context("fork").Pool(4) as pool:
        assert pool.map(call_in_pool, range(100)) == [b"%d" % index for index in range(100)]
    got("parent", b"a hundred")


def call_in_pool(index: int) -> bytes:
    reply: bytes = echo(b"%d" % index)
    return reply


def beside_another_channel(channel: portcall.sync.Channel) -> None:
    """A plain gRPC channel in the parent keeps gRPC's threads alive, and the child could only hang."""
    plain = grpc.insecure_channel(sys.argv[2])
    got("parent", Cargo(plain).Echo(b"1"))
    got("parent", Cargo(channel).Echo(b"2"))
    in_child(lambda: got("child", Cargo(channel).Echo(b"3")))
    in_child(lambda: got("child", Cargo(portcall.sync.Channel(sys.argv[2])).Echo(b"4")))
    got("parent", Cargo(channel).Echo(b"5"))


def beside_an_async_channel(channel: portcall.sync.Channel) -> None:
    """One of `grpc.aio`, on a loop in a thread of the parent's."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    async def open_and_call() -> grpc.aio.Channel:
        opened = grpc.aio.insecure_channel(sys.argv[2])
        got("parent", await Cargo(opened).Echo(b"1"))  # type: ignore[arg-type]
        return opened

    held = asyncio.run_coroutine_threadsafe(open_and_call(), loop).result()
    got("parent", Cargo(channel).Echo(b"2"))
    in_child(lambda: got("child", Cargo(channel).Echo(b"3")))
    got("parent", Cargo(channel).Echo(b"5"))
    asyncio.run_coroutine_threadsafe(held.close(), loop).result()


def that_ends_as_scripts_end(channel: portcall.sync.Channel) -> None:
    """Parent and child both run to the end of the program, with the channel open."""
    echo = Cargo(channel).Echo
    got("parent", echo(b"1"))
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    got("parent" if child else "child", echo(b"2"))


if __name__ == "__main__":
    ways = {
        way.__name__: way
        for way in (
            before_the_first_call,
            after_the_first_call,
            of_a_fork,
            with_calls_under_way,
            with_a_map,
            with_a_subscription,
            by_multiprocessing,
            beside_another_channel,
            beside_an_async_channel,
            that_ends_as_scripts_end,
        )
    }
    ways[sys.argv[1]](portcall.sync.Channel(sys.argv[2]))
