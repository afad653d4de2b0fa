"""What a user gets wrong. Each line whose comment has a code is an error of that code, and no other line is."""

import grpc
import grpc.aio
from talk.protos.chat_pb2 import Heard, Text
from talk.protos.chat_pb2_grpc import ChatServicer, ChatStub, add_ChatServicer_to_server

import portcall


async def on_portcall(chat: ChatStub) -> None:
    await chat.Say(Heard())  # E: arg-type
    chat.Say.map([Heard()])  # E: list-item
    chat.Say.map([Text()], order=True)  # E: call-overload
    chat.Listen.map([Text()])  # E: attr-defined
    await chat.Shout(Text())  # E: attr-defined
    text: Text = await chat.Say(Text())  # E: assignment
    async for heard in chat.Say.map([Text()]):
        assert heard.text  # E: attr-defined
    for each in chat.Listen(Text()):  # E: attr-defined
        assert each is not text


async def jobs(chat: ChatStub) -> None:
    await chat.Say.submit(Heard())  # E: arg-type
    await chat.Say.submit(Text(), delya=5)  # E: call-arg
    await chat.Say.submit(Text(), on_duplicate="maybe")  # E: arg-type
    await chat.Say.submit_many([Text()], key="a")  # E: call-overload
    text: Text = await (await chat.Say.submit(Text()))  # E: assignment
    chat.Tell.submit([Text()])  # E: attr-defined
    (await chat.Say.submit(Text())).replies()  # E: attr-defined
    await chat.Say.submit(Text(), at="tomorrow")  # E: arg-type
    await chat.Say.submit_many([Heard()])  # E: list-item
    await chat.Listen.submit(Heard())  # E: arg-type
    text = await chat.Say.job("0" * 13)  # E: assignment
    async for event in (await chat.Say.submit(text)).events():
        assert event.done  # E: union-attr


def blocking_jobs(chat: ChatStub[portcall.sync.Channel]) -> None:
    chat.Say.submit(Heard())  # E: arg-type
    chat.Say.submit(Text(), delay="5m")  # E: arg-type
    assert chat.Say.submit(Text()).result().text  # E: attr-defined
    assert chat.Say.submit(Text()).result(after=5)  # E: call-arg
    for job in chat.Say.submit_many([Text()], return_exceptions=True):
        job.result()  # E: union-attr
    for heard in chat.Listen.job("0" * 13).replies():
        assert heard.text  # E: attr-defined


async def on_another(channel: grpc.aio.Channel) -> None:
    ChatStub(channel).Say.map([Text()])  # E: attr-defined
    await on_portcall(ChatStub(channel))  # E: arg-type
    ChatStub("localhost:7070")  # E: type-var


def blocking(chat: ChatStub[grpc.Channel]) -> None:
    chat.Say.map([Text()])  # E: attr-defined
    assert chat.Say(Text()).text  # E: attr-defined
    Text(txt="")  # E: call-arg


class Wrong(ChatServicer):
    async def Say(self, request: Heard, context: grpc.aio.ServicerContext[Text, Heard]) -> Heard:  # E: override
        return Heard()

    async def Tell(self, request_iterator: object, context: object) -> Text:  # E: override
        return Text()


add_ChatServicer_to_server(object(), portcall.Worker())  # E: arg-type
