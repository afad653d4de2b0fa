"""What a user writes, and `mypy --strict` has nothing to say against."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import assert_type

import grpc
import grpc.aio
from talk.protos.chat_pb2 import Heard, Text
from talk.protos.chat_pb2_grpc import ChatServicer, ChatStub, add_ChatServicer_to_server

import portcall


async def on_portcall(channel: portcall.Channel, texts: AsyncIterator[Text]) -> None:
    chat = ChatStub(channel)
    assert_type(chat, ChatStub[portcall.Channel])
    assert_type(await chat.Say(Text(text="hi"), timeout=5), Heard)
    async for heard in chat.Say.map([Text()], limit=5):
        assert_type(heard, Heard)
    async for either in chat.Say.map(texts, return_exceptions=True):
        assert_type(either, Heard | grpc.aio.AioRpcError)
    async for each in chat.Listen(Text()):
        assert_type(each, Heard)
    assert_type(await chat.Tell(texts), Heard)
    async for heard in chat.Tell.map([[Text()], texts]):
        assert_type(heard, Heard)
    async for said in chat.Talk([Text()]):
        assert_type(said, Heard)


async def jobs(chat: ChatStub) -> None:
    job = await chat.Say.submit(Text(), key="a", delay=5, labels={"site": "a"}, after=["0" * 13], on_duplicate="retry")
    assert_type(job, portcall.Job[Heard])
    assert_type(await job, Heard)
    assert_type((await job.status()).state, portcall.jobs.JobState)
    assert_type(await chat.Say.job(job.id), Heard)
    jobs = await chat.Say.submit_many([Text()], key=lambda text: text.text, after=[job])
    assert_type(jobs, list[portcall.Job[Heard]])
    both = await chat.Say.submit_many([Text()], return_exceptions=True)
    assert_type(both, list[portcall.Job[Heard] | portcall.SubmitError])
    listening = await chat.Listen.submit(Text(), priority=1, backoff={"initial_s": 2})
    assert_type(await listening, None)
    async for heard in listening.replies(5):
        assert_type(heard, Heard)
    assert_type(await asyncio.gather(*jobs), list[Heard])
    assert_type(chat.Listen.job(listening.id), portcall.StreamJob[Heard])
    async for event in job.events(after=5):
        assert_type(event, portcall.jobs.JobEvent)
        match event:
            case portcall.jobs.Progressed(done=done, total=total):
                assert_type((done, total), tuple[float, float])
            case portcall.jobs.StateChanged(state=state):
                assert_type(state, portcall.jobs.JobState)
            case _:
                pass


def blocking_jobs(chat: ChatStub[portcall.sync.Channel]) -> None:
    job = chat.Say.submit(Text(), attempts=3)
    assert_type(job, portcall.sync.Job[Heard])
    assert_type(job.result(timeout=5), Heard)
    assert_type(chat.Say.submit(Text(), after=[job, job.id]).existed, bool)
    assert_type([each.result() for each in chat.Say.submit_many([Text()])], list[Heard])
    assert_type(list(chat.Listen.submit(Text()).replies()), list[Heard])
    assert_type(chat.Say.job(job.id).status().has_ended, bool)
    for event in job.events():
        assert_type(event, portcall.jobs.JobEvent)
    for each in chat.Say.submit_many([Text()], return_exceptions=True):
        if isinstance(each, portcall.SubmitError):
            assert_type(each.is_unknown, bool)
        else:
            assert_type(each.result(), Heard)


async def on_any_aio_channel(channel: grpc.aio.Channel) -> None:
    chat = ChatStub(channel)
    assert_type(await chat.Say(Text()), Heard)
    call = chat.Talk()
    await call.write(Text())


async def without_saying_which(chat: ChatStub, channel: portcall.Channel) -> None:
    async for heard in chat.Say.map([Text()]):
        assert_type(heard, Heard)
    await on_any_aio_channel(channel)
    await without_saying_which(ChatStub(channel), channel)


def blocking(chat: ChatStub[grpc.Channel]) -> None:
    assert_type(chat.Say(Text()), Heard)
    assert_type(chat.Say.future(Text()).result(), Heard)
    for heard in chat.Listen(Text()):
        assert_type(heard, Heard)
    assert_type(chat.Tell(iter([Text()])), Heard)


class Talking(ChatServicer):
    async def Say(self, request: Text, context: grpc.aio.ServicerContext[Text, Heard]) -> Heard:
        return Heard(times=len(request.text))

    async def Listen(self, request: Text, context: grpc.aio.ServicerContext[Text, Heard]) -> AsyncIterator[Heard]:
        yield Heard()

    async def Tell(
        self, request_iterator: AsyncIterator[Text], context: grpc.aio.ServicerContext[Text, Heard]
    ) -> Heard:
        return Heard(times=len([text async for text in request_iterator]))

    async def Talk(self, request_iterator: AsyncIterator[Text], context: grpc.aio.ServicerContext[Text, Heard]) -> None:
        async for text in request_iterator:
            await context.write(Heard(times=len(text.text)))


class Blocking(ChatServicer):
    def Say(self, request: Text, context: grpc.ServicerContext) -> Heard:
        return Heard()

    def Talk(self, request_iterator: Iterator[Text], context: grpc.ServicerContext) -> Iterator[Heard]:
        for text in request_iterator:
            yield Heard(times=len(text.text))


worker = portcall.Worker()
add_ChatServicer_to_server(Talking(), worker)
add_ChatServicer_to_server(Blocking(), worker)
with grpc.insecure_channel("localhost:7070") as plain:
    blocking(ChatStub(plain))
