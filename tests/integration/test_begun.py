"""What an execution writes down before it enters a handler, and what it does not do before."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

import portcall
from portcall.protos.portcall.v1.link_pb2 import Cancel, Drain, End, Frame, Frames, Message, Open, Opens, Welcome
from portcall.wire.limits import MESSAGE_BYTES_MAX
from portcall.wire.link import Link
from portcall.worker.execution import Execution

from .stage import until

SLOTS = 8


class Marked:
    """An execution on a link without another end. Handlers write down the mark that they find, by call."""

    def __init__(self, *interceptors: grpc.aio.ServerInterceptor) -> None:
        self.mark = [0]
        self.seen: dict[int, int] = {}
        self.opened = asyncio.Event()
        self.link = Link()
        self.link.establish()
        worker = portcall.Worker(slots=SLOTS, interceptors=interceptors)
        handlers = {
            "Quick": grpc.unary_unary_rpc_method_handler(self.quick),
            "Slow": grpc.unary_unary_rpc_method_handler(self.slow),
            "Stream": grpc.stream_stream_rpc_method_handler(self.stream),
            "Blocking": grpc.unary_unary_rpc_method_handler(self.blocking),
        }
        worker.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.B", handlers),))
        self.execution: Execution = worker.make_execution(self.mark)
        self.execution.begin_session(self.link, Welcome(message_bytes_max=MESSAGE_BYTES_MAX))

    def note(self, context: Any) -> None:
        call_id = getattr(context, "_context", context).call_id
        self.seen[call_id] = self.mark[0]

    async def quick(self, request: bytes, context: Any) -> bytes:
        self.note(context)
        return request

    async def slow(self, request: bytes, context: Any) -> bytes:
        self.note(context)
        await self.opened.wait()
        return request

    async def stream(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        self.note(context)
        await self.opened.wait()
        async for request in requests:
            yield request

    def blocking(self, request: bytes, context: Any) -> bytes:
        self.note(context)
        return request

    def open(self, *methods: str, half_close: bool = True) -> None:
        first = self.execution._session.id_last + 1
        self.execution.on_frames(
            [
                Frame(call_id=number, open=Open(method=f"/a.B/{method}", half_close=half_close, message=b"x"))
                for number, method in enumerate(methods, first)
            ]
        )


class Waiting(grpc.aio.ServerInterceptor):
    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        await asyncio.sleep(0)
        return await continuation(details)


@pytest.mark.parametrize("interceptors", [(), (Waiting(),)])
async def test_every_kind_of_handler_finds_its_call_marked(interceptors: tuple[Waiting, ...]) -> None:
    marked = Marked(*interceptors)
    marked.open("Quick", "Slow", "Stream", "Blocking", "Quick", "Slow")
    assert marked.mark == [0]
    await until(lambda: len(marked.seen) == 6)
    marked.opened.set()
    await marked.execution.wait_quiet()
    assert all(mark >= call_id for call_id, mark in marked.seen.items())
    assert marked.mark == [6]
    await marked.execution.close()


async def test_calls_begin_in_the_order_of_their_ids() -> None:
    marked = Marked()
    marked.open(*["Quick"] * 4)
    shared = Open(method="/a.B/Quick")
    marked.execution.on_frames([Frame(opens=Opens(shared=shared, call_ids=[7, 9], messages=[b"x", b"y"]))])
    await until(lambda: len(marked.seen) == 6)
    assert marked.seen == {1: 1, 2: 2, 3: 3, 4: 4, 7: 7, 9: 9}
    await marked.execution.close()


async def test_attempts_that_have_not_begun_are_handed_back() -> None:
    marked = Marked()
    marked.open("Slow")
    await until(lambda: 1 in marked.seen)
    attempts = Open(method="/a.B/Quick")
    opens = Opens(shared=attempts, call_ids=[2, 3], messages=[b"x", b"y"], jobs=[7, 8], attempts=[1, 4])
    # In one batch: what is said behind the attempts comes before they have had a turn.
    marked.execution.on_frames([Frame(opens=opens), Frame(drain=Drain())])
    batch = marked.link.next_batch()
    assert batch is not None
    ends = {frame.call_id: frame.end for frame in Frames.FromString(batch).frames}
    assert [ends[call_id].cause for call_id in (2, 3)] == [End.CAUSE_HANDED_BACK] * 2
    marked.opened.set()
    await marked.execution.wait_quiet()
    assert marked.seen == {1: 1}
    await marked.execution.close()


async def test_nothing_is_granted_to_a_call_that_has_not_begun() -> None:
    marked = Marked()
    marked.open("Stream", half_close=False)
    data = b"x" * 60_000
    marked.execution.on_frames([Frame(call_id=1, message=Message(data=data, more=True))])
    assert marked.link.next_batch() is None
    await until(lambda: 1 in marked.seen)
    marked.opened.set()

    def is_granted() -> bool:
        batch = marked.link.next_batch()
        return batch is not None and any(frame.HasField("credit") for frame in Frames.FromString(batch).frames)

    await until(is_granted)
    marked.execution.on_frames([Frame(call_id=1, cancel=Cancel())])
    await marked.execution.close()
