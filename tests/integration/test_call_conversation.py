"""Calls of every kind as the command line makes them, against a plain server and through a hub."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import grpc
import pytest
from harbour_pb2 import Crate, Manifest, Refusal, Sighting, Summary, WatchRequest

from portcall.cli.call.conversation import Conversation, Ending, Metadata
from portcall.errors import ConfigurationError

from .harbour import attach, serve
from .stage import Stage, until

PADDING_BYTES = 65_536
READ_AHEAD_MAX = 500
"""Messages of that size that windows and buffers on the way may hold; an endless stream has more."""


@pytest.fixture(params=["direct", "hub"])
async def address(request: pytest.FixtureRequest, stage: Stage) -> str:
    return await (serve(stage) if request.param == "direct" else attach(stage))


class Kept:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.headers: list[Metadata] = []
        self.replies: list[bytes] = []

    def on_headers(self, metadata: Metadata) -> None:
        self.headers.append(metadata)

    async def on_reply(self, reply: bytes) -> None:
        self.replies.append(reply)


class Stuck(Kept):
    """A listener that never finishes with its first reply."""

    async def on_reply(self, reply: bytes) -> None:
        self.replies.append(reply)
        await asyncio.Event().wait()


async def each(*messages: Any) -> AsyncIterator[bytes]:
    for message in messages:
        yield message.SerializeToString()


def conversation(
    stage: Stage, address: str, method: str, *, metadata: Metadata = (), timeout_s: float | None = None
) -> Conversation:
    channel = stage.native_channel(address)
    return Conversation(
        channel, f"/harbour.Port/{method}", metadata=metadata, timeout_s=timeout_s, wait_for_ready=False
    )


async def talk(stage: Stage, address: str, method: str, *messages: Any, **options: Any) -> tuple[Ending, Kept]:
    kept = Kept()
    ending = await conversation(stage, address, method, **options).run(each(*messages), kept)
    return ending, kept


CRATES = [Crate(label=f"{number}", weight_kg=number) for number in range(1, 4)]
KINDS: dict[str, tuple[Sequence[Any], list[Any]]] = {
    "Inspect": ([Manifest(note="x")], [Manifest(note="x")]),
    "Watch": ([WatchRequest(count=3)], [Sighting(number=number) for number in range(1, 4)]),
    "Load": (CRATES, [Summary(crates=3, weight_kg=6)]),
    "Weigh": (CRATES, [Sighting(number=crate.weight_kg, text=crate.label) for crate in CRATES]),
}


@pytest.mark.parametrize("method", KINDS)
async def test_every_kind_of_call(stage: Stage, address: str, method: str) -> None:
    requests, replies = KINDS[method]
    ending, kept = await talk(stage, address, method, *requests)
    assert ending.code is grpc.StatusCode.OK
    assert kept.replies == [reply.SerializeToString() for reply in replies]
    assert (ending.requests_count, ending.replies_count) == (len(requests), len(replies))


async def test_metadata_goes_and_comes(stage: Stage, address: str) -> None:
    sent = (("x-text", "a"), ("x-bytes-bin", b"\x00\xff"))
    ending, kept = await talk(stage, address, "Inspect", Manifest(), metadata=sent)
    assert list(kept.headers) == [sent]
    assert ending.trailers == (("x-trailer", "anchored"), ("x-trailer-bin", b"\x00\xff"))


async def test_status_comes_with_its_words_and_details(stage: Stage, address: str) -> None:
    ending, _ = await talk(stage, address, "Refuse", Refusal(code=5, details="no ship", status_details=[{}]))
    assert (ending.code, ending.number, ending.details) == (grpc.StatusCode.NOT_FOUND, 5, "no ship")
    assert [key for key, _ in ending.trailers] == ["grpc-status-details-bin"]


async def test_deadline_ends_the_call(stage: Stage, address: str) -> None:
    ending, _ = await talk(stage, address, "Refuse", Refusal(code=4), timeout_s=0.05)
    assert ending.code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_requests_and_replies_take_turns(stage: Stage, address: str) -> None:
    """The next request is made of the last reply, so neither side may wait for the other to be through."""
    kept = Kept()

    async def answering() -> AsyncIterator[bytes]:
        for number in range(20):
            yield Crate(weight_kg=number).SerializeToString()
            await until(lambda: len(kept.replies) > number)  # noqa: B023  # waited for in this very turn

    ending = await conversation(stage, address, "Weigh").run(answering(), kept)
    assert ending.code is grpc.StatusCode.OK
    assert [Sighting.FromString(reply).number for reply in kept.replies] == list(range(20))


async def test_end_of_the_call_does_not_wait_for_more_requests(stage: Stage, address: str) -> None:
    async def unending() -> AsyncIterator[bytes]:
        yield Crate(label="stop").SerializeToString()
        await asyncio.Event().wait()

    ending = await conversation(stage, address, "Weigh").run(unending(), Kept())
    assert ending.code is grpc.StatusCode.ABORTED


async def test_endless_requests_end_with_the_call(stage: Stage, address: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield Crate(label="stop").SerializeToString()

    ending = await conversation(stage, address, "Weigh").run(endless(), Kept())
    assert ending.code is grpc.StatusCode.ABORTED


async def test_server_that_ends_early_loses_no_reply(stage: Stage) -> None:
    """It answers a hundred times and ends well, whatever is still on its way to it."""

    async def serve_early(_: Any, context: Any) -> None:
        await context.read()
        for number in range(100):
            await context.write(b"%d" % number)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1_000)

    handler = grpc.method_handlers_generic_handler(
        "harbour.Watched", {"Call": grpc.stream_stream_rpc_method_handler(serve_early)}
    )
    for _ in range(5):
        kept = Kept()
        ending = await (await watched_call(stage, handler)).run(endless(), kept)
        assert ending.code is grpc.StatusCode.OK
        assert kept.replies == [b"%d" % number for number in range(100)]


class Watched:
    """A servicer's method that tells how it fares."""

    def __init__(self) -> None:
        self.count = 0
        self.cancelled = asyncio.Event()

    def handler(self, behavior: Callable[[Any], Awaitable[None]]) -> grpc.GenericRpcHandler:
        async def serve(_: Any, context: Any) -> None:
            try:
                await behavior(context)
            except (asyncio.CancelledError, grpc.aio.BaseError):  # the latter where it was writing
                self.cancelled.set()

        return grpc.method_handlers_generic_handler(
            "harbour.Watched", {"Call": grpc.stream_stream_rpc_method_handler(serve)}
        )

    async def send_on(self, context: Any) -> None:
        while True:
            await context.write(bytes(PADDING_BYTES))
            self.count += 1

    async def read_one(self, context: Any) -> None:
        await context.read()
        self.count += 1
        await asyncio.Event().wait()


async def watched_call(stage: Stage, handler: grpc.GenericRpcHandler) -> Conversation:
    channel = stage.native_channel(await serve(stage, handler))
    return Conversation(channel, "/harbour.Watched/Call", metadata=(), timeout_s=None, wait_for_ready=False)


async def test_listener_that_is_slow_slows_the_server(stage: Stage) -> None:
    watched, stuck = Watched(), Stuck()
    call = await watched_call(stage, watched.handler(watched.send_on))
    running = asyncio.create_task(call.run(each(), stuck))
    await until(lambda: len(stuck.replies) == 1)
    before = -1
    while before != watched.count:  # until nothing more goes out
        before = watched.count
        await asyncio.wait([running], timeout=0.2)
    assert watched.count < READ_AHEAD_MAX
    running.cancel()
    await asyncio.wait([running])
    await watched.cancelled.wait()


async def test_server_that_is_slow_slows_the_requests(stage: Stage) -> None:
    watched, taken = Watched(), 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield bytes(PADDING_BYTES)

    call = await watched_call(stage, watched.handler(watched.read_one))
    running = asyncio.create_task(call.run(endless(), Kept()))
    await until(lambda: watched.count == 1)
    before = -1
    while before != taken:
        before = taken
        await asyncio.wait([running], timeout=0.2)
    assert taken < READ_AHEAD_MAX
    running.cancel()
    await asyncio.wait([running])
    await watched.cancelled.wait()


async def test_bad_request_cancels_the_call(stage: Stage) -> None:
    watched = Watched()

    async def bad() -> AsyncIterator[bytes]:
        yield b""
        await until(lambda: watched.count == 1)
        raise ConfigurationError("request 2 is not JSON")

    call = await watched_call(stage, watched.handler(watched.read_one))
    with pytest.raises(ConfigurationError, match="request 2"):
        await call.run(bad(), Kept())
    await watched.cancelled.wait()


async def test_output_that_nobody_reads_cancels_the_call(stage: Stage) -> None:
    class Closed(Kept):
        async def on_reply(self, reply: bytes) -> None:
            raise BrokenPipeError

    watched = Watched()
    call = await watched_call(stage, watched.handler(watched.send_on))
    with pytest.raises(BrokenPipeError):
        await call.run(each(), Closed())
    await watched.cancelled.wait()
