"""What breaks the link's rules ends that link, with the reason, and touches no other."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from interop_pb2 import UnaryReply, UnaryRequest

from portcall.hub import Hub, sessions
from portcall.protos.portcall.v1.link_pb2 import (
    Cancel,
    Contract,
    Credit,
    Drain,
    End,
    Frame,
    Frames,
    Goodbye,
    HalfClose,
    Headers,
    Hello,
    JobAttempt,
    Message,
    Metadatum,
    Method,
    Open,
    Ping,
    Pong,
    Service,
    Slots,
    Welcome,
)

from .rawpeer import RawPeer, hello_batch, worker_hello
from .servicers import Gate
from .stage import Stage

REFUSED, PROTOCOL_ERROR = Goodbye.REASON_REFUSED, Goodbye.REASON_PROTOCOL_ERROR
METHOD = "/interop.Interop/UnaryCall"
UNKNOWN_METHOD = "/interop.Interop/Nothing"


@pytest.fixture
async def hub(stage: Stage) -> AsyncIterator[Hub]:
    """A hub with a worker and a client, whose call is under way before the test and is answered after it."""
    gate = Gate()
    hub = await stage.hub()
    await stage.worker(hub.address, slots=2, UnaryCall=gate.handle)
    stub = stage.stub(hub.address)
    before = stub.UnaryCall(UnaryRequest(body=b"before"))
    await gate.when_begun()
    yield hub
    gate.opened.set()
    assert await before == UnaryReply(body=b"before")
    assert await stub.UnaryCall(UnaryRequest(body=b"after")) == UnaryReply(body=b"after")
    assert gate.begun[0] == b"before"
    assert b"before" not in gate.cancelled


@pytest.fixture
def client(stage: Stage, hub: Hub) -> RawPeer:
    return RawPeer(stage.native_channel(hub.address), "Session")


@pytest.fixture
def worker(stage: Stage, hub: Hub) -> RawPeer:
    return RawPeer(stage.native_channel(hub.address), "Attach")


def batch(*frames: Frame, seq: int = 1, ack: int = 0) -> bytes:
    return Frames(frames=frames, seq=seq, ack=ack).SerializeToString()


def contract(service: str = "a.B", method: str = "C", file: bytes | None = None) -> Contract:
    files = [] if file is None else [file]
    return Contract(services=[Service(name=service, methods=[Method(name=method)])], files=files)


OPEN_WAITING = Frame(call_id=1, open=Open(method=METHOD))  # not half-closed: more may be sent on it


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (b"\xff\xff\xff", "not a portcall.v1.Frames"),
        (b"", "one hello and nothing else"),
        (batch(Frame(call_id=1, open=Open(method=METHOD))), "one hello and nothing else"),
        (Frames(frames=[Frame(hello=Hello(protocol=1)), Frame(ping=Ping())]).SerializeToString(), "nothing else"),
        (hello_batch(protocol=0), "version 0 of the link, this hub speaks 1"),
        (hello_batch(protocol=2), "version 2 of the link, this hub speaks 1"),
    ],
    ids=["junk", "nothing", "no hello", "hello and more", "no version", "later version"],
)
@pytest.mark.parametrize("role", ["client", "worker"])
async def test_bad_first_batch_is_refused(
    client: RawPeer, worker: RawPeer, role: str, first: bytes, words: str
) -> None:
    peer = {"client": client, "worker": worker}[role]
    await peer.write(first)
    goodbye = await peer.goodbye()
    await peer.when_ended()
    assert goodbye.reason == REFUSED
    assert words in goodbye.details


@pytest.mark.parametrize(
    ("hello", "words"),
    [
        (worker_hello(slots=0), "0 slots"),
        (worker_hello(slots=1_000_001), "1000001 slots"),
        (worker_hello(contract=Contract()), "without methods"),
        (worker_hello(contract=Contract(services=[Service(name="a.B")])), "without methods"),
        (worker_hello(contract=contract(service="")), "cannot be one"),
        (worker_hello(contract=contract(service="a b")), "cannot be one"),
        (worker_hello(contract=contract(service="a/b")), "cannot be one"),
        (worker_hello(contract=contract(method="x" * 300)), "cannot be one"),
        (worker_hello(contract=contract(method="C\n")), "cannot be one"),
        (worker_hello(contract=contract(file=b"\xff\xff")), "not a google.protobuf.FileDescriptorProto"),
    ],
)
async def test_bad_worker_is_refused(worker: RawPeer, hello: object, words: str) -> None:
    await worker.say_hello(worker=hello)
    goodbye = await worker.goodbye()
    assert goodbye.reason == REFUSED
    assert words in goodbye.details


async def test_worker_without_a_word_of_itself_is_refused(worker: RawPeer) -> None:
    await worker.say_hello()
    assert (await worker.goodbye()).reason == REFUSED


async def test_link_without_a_hello_is_ended(client: RawPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "HELLO_S", 0.05)
    goodbye = await client.goodbye()
    assert goodbye.reason == REFUSED
    assert "no hello" in goodbye.details


async def test_no_more_links_than_may_be(stage: Stage) -> None:
    hub = await stage.hub(links_max=1)
    channel = stage.native_channel(hub.address)
    first, second = RawPeer(channel, "Session"), RawPeer(channel, "Session")
    await first.shake_hands()
    await second.say_hello()
    goodbye = await second.goodbye()
    assert goodbye.reason == REFUSED
    assert "links_max" in goodbye.details


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ([b"\xff\xff\xff"], "not a portcall.v1.Frames"),
        ([hello_batch()], "has no number"),
        ([batch(Frame(hello=Hello(protocol=1)))], "never opened"),
        ([batch(Frame(welcome=Welcome()))], "never opened"),
        ([batch(Frame(slots=Slots(slots=5)))], "never opened"),
        ([batch(OPEN_WAITING, seq=0)], "has no number"),
        ([batch(OPEN_WAITING, seq=2)], "batch 2 arrived where 1 was due"),
        ([batch(ack=7, seq=0)], "batch 7 acknowledged"),
        ([batch(Frame(call_id=1))], "without an event"),
        ([batch(Frame(open=Open(method=METHOD)))], "ids must rise"),
        ([batch(OPEN_WAITING, OPEN_WAITING)], "ids must rise"),
        ([batch(Frame(call_id=5, message=Message(data=b"?")))], "call 5, which was never opened"),
        ([batch(Frame(call_id=5, cancel=Cancel()))], "call 5, which was never opened"),
        ([batch(Frame(call_id=5, credit=Credit(bytes=1)))], "call 5, which was never opened"),
        ([batch(Frame(call_id=1, open=Open(method=METHOD, message=bytes(65_537))))], "65537 bytes inline"),
        ([batch(OPEN_WAITING, Frame(call_id=1, message=Message(data=bytes(65_537))))], "without credit"),
        (
            [batch(OPEN_WAITING, *[Frame(call_id=1, message=Message(data=bytes(40_000), more=True))] * 2)],
            "without credit",
        ),
        ([batch(OPEN_WAITING, *[Frame(call_id=1, message=Message())] * 1_025)], "without credit"),
        (
            [batch(OPEN_WAITING, Frame(call_id=1, half_close=HalfClose()), Frame(call_id=1, message=Message()))],
            "after the half-close",
        ),
        ([batch(OPEN_WAITING, *[Frame(call_id=1, credit=Credit(bytes=1 << 31))])], "granted more than"),
        ([batch(OPEN_WAITING, Frame(call_id=1, end=End()))], "a client cannot send end"),
        ([batch(OPEN_WAITING, Frame(call_id=1, headers=Headers()))], "a client cannot send headers"),
        ([batch(OPEN_WAITING, Frame(call_id=1, ping=Ping()))], "a client cannot send ping"),
        ([batch(OPEN_WAITING, Frame(call_id=1, goodbye=Goodbye()))], "a client cannot send goodbye"),
    ],
)
async def test_client_that_breaks_the_rules_is_sent_away(client: RawPeer, sent: list[bytes], words: str) -> None:
    await client.shake_hands()
    for one in sent:
        await client.write(one)
    goodbye = await client.goodbye()
    await client.when_ended()
    assert goodbye.reason == PROTOCOL_ERROR
    assert words in goodbye.details


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ([Frame(call_id=9, end=End())], "call 9, which was never opened"),
        ([Frame(call_id=9, message=Message())], "call 9, which was never opened"),
        ([Frame(call_id=9, open=Open(method=METHOD))], "call 9, which was never opened"),
        ([Frame(call_id=1, message=Message(data=bytes(65_537)))], "without credit"),
        ([Frame(call_id=1, message=Message(data=bytes(40_000), more=True))] * 2, "without credit"),
        ([Frame(call_id=1, end=End(message=bytes(65_537)))], "without credit"),
        ([Frame(call_id=1, headers=Headers())] * 2, "initial metadata sent twice"),
        ([Frame(call_id=1, credit=Credit(bytes=1 << 31))], "granted more than"),
        ([Frame(call_id=1, half_close=HalfClose())], "a worker cannot send half_close"),
        ([Frame(call_id=1, cancel=Cancel())], "a worker cannot send cancel"),
        ([Frame(call_id=1)], "without an event"),
        ([Frame(hello=Hello(protocol=1))], "never opened"),
    ],
)
async def test_worker_that_breaks_the_rules_is_sent_away(
    stage: Stage, hub: Hub, worker: RawPeer, sent: list[Frame], words: str
) -> None:
    hello = worker_hello(contract=contract(service="test.Raw", method="Call"))
    await worker.shake_hands(worker=hello)
    call = stage.channel(hub.address).unary_unary("/test.Raw/Call")(b"")
    assert (await worker.read()).frames[0].open.method == "/test.Raw/Call"
    await worker.send(*sent)
    goodbye = await worker.goodbye()
    await worker.when_ended()
    assert goodbye.reason == PROTOCOL_ERROR
    assert words in goodbye.details
    assert (await call.code()).name == "UNAVAILABLE"


async def test_late_frames_are_no_offence(client: RawPeer) -> None:
    await client.shake_hands()
    await client.send(Frame(call_id=1, open=Open(method=UNKNOWN_METHOD)))
    assert (await client.read()).frames[0].end.status == 12
    late = [Message(data=b"?"), HalfClose(), Credit(bytes=9), Cancel()]
    await client.send(*(Frame(call_id=1, **{_field(event): event}) for event in late))
    await client.send(Frame(call_id=2, open=Open(method=UNKNOWN_METHOD)))
    assert (await client.read()).frames[0].call_id == 2


def _field(event: object) -> str:
    names = {Message: "message", HalfClose: "half_close", Credit: "credit", Cancel: "cancel"}
    return names[type(event)]


async def test_impossible_metadata_goes_no_further(client: RawPeer) -> None:
    metadata = [
        Metadatum(key="UPPER", value=b"x"),
        Metadatum(key="", value=b"x"),
        Metadatum(key="newline", value=b"a\nb"),
        Metadatum(key="grpc-status", value=b"0"),
        Metadatum(key=":path", value=b"/"),
    ]
    await client.shake_hands()
    opening = Open(method=METHOD, metadata=metadata, message=UnaryRequest(body=b"1").SerializeToString())
    opening.half_close = True
    await client.send(Frame(call_id=1, open=opening))
    await client.send(Frame(ping=Ping(value=7)))
    assert Frame(pong=Pong(value=7)) in (await client.read()).frames


async def test_peer_of_a_call_cannot_be_made_up(stage: Stage) -> None:
    hub = await stage.hub()
    worker = RawPeer(stage.native_channel(hub.address), "Attach")
    await worker.shake_hands(worker=worker_hello())
    client = RawPeer(stage.native_channel(hub.address), "Session")
    await client.shake_hands()
    await client.send(Frame(call_id=1, open=Open(method=METHOD, peer="ipv4:8.8.8.8:53", half_close=True)))
    assert (await worker.read()).frames[0].open.peer.startswith("ipv4:127.0.0.1:")


@pytest.mark.parametrize("token", [b"x", bytes(16), b"x" * 1_000_000], ids=len)
async def test_guessed_session_is_a_new_one(client: RawPeer, token: bytes) -> None:
    welcome = await client.shake_hands(session=token)
    assert not welcome.resumed
    assert welcome.session != token


async def test_session_is_resumed_only_in_its_role(stage: Stage, hub: Hub) -> None:
    channel = stage.native_channel(hub.address)
    owner, thief = RawPeer(channel, "Attach"), RawPeer(channel, "Session")
    hello = worker_hello(contract=contract(service="test.Raw", method="Call"))
    token = (await owner.shake_hands(worker=hello)).session
    assert not (await thief.shake_hands(session=token)).resumed
    await owner.send(Frame(ping=Ping(value=1)))
    assert (await owner.read()).frames[0].pong.value == 1


async def test_resumption_at_an_impossible_batch_is_refused(stage: Stage, hub: Hub) -> None:
    channel = stage.native_channel(hub.address)
    first, second = RawPeer(channel, "Session"), RawPeer(channel, "Session")
    token = (await first.shake_hands()).session
    await second.say_hello(session=token, received=1_000)
    goodbye = await second.goodbye()
    assert goodbye.reason == REFUSED
    assert "session resumed at batch 1000" in goodbye.details


async def test_session_that_is_resumed_elsewhere_leaves_its_old_stream(stage: Stage, hub: Hub) -> None:
    channel = stage.native_channel(hub.address)
    first, second = RawPeer(channel, "Session"), RawPeer(channel, "Session")
    token = (await first.shake_hands()).session
    await first.send(Frame(ping=Ping(value=1)))
    assert (await first.read()).frames[0].pong.value == 1
    welcome = await second.shake_hands(session=token, received=1)
    assert welcome.resumed
    assert welcome.received == 1
    assert (await first.goodbye()).reason == Goodbye.REASON_SUPERSEDED


async def test_client_that_reads_nothing_is_refused_and_then_sent_away(stage: Stage) -> None:
    hub = await stage.hub(unread_bytes_max=200_000, link_bytes_max=300_000)
    worker = RawPeer(stage.native_channel(hub.address), "Attach")
    await worker.shake_hands(worker=worker_hello(slots=100))
    client = RawPeer(stage.native_channel(hub.address), "Session")
    await client.shake_hands()
    # Replies that are never acknowledged, then refusals that are not either.
    for call_id in range(1, 5):
        await client.send(Frame(call_id=call_id, open=Open(method=METHOD, half_close=True)))
        while not (frames := (await worker.read()).frames):
            pass
        await worker.send(Frame(call_id=frames[0].call_id, end=End(message=bytes(60_000))))
    await stage.fleet(hub.address).when(lambda workers: workers[0].ended == 4)
    await client.send(*(Frame(call_id=call_id, open=Open(method=METHOD)) for call_id in range(5, 1_005)))
    ends = []
    while not (frames := (await client.read()).frames) or not frames[-1].HasField("goodbye"):
        ends.extend(frame.end for frame in frames)
    assert frames[-1].goodbye.reason == Goodbye.REASON_NOT_READING
    assert [end.status for end in ends[:4]] == [0] * 4
    assert [end.status for end in ends[4:]] == [8] * len(ends[4:])


async def test_worker_that_is_away_with_a_goodbye_is_gone_at_once(stage: Stage) -> None:
    hub = await stage.hub()
    worker = RawPeer(stage.native_channel(hub.address), "Attach")
    await worker.shake_hands(worker=worker_hello())
    call = stage.channel(hub.address).unary_unary(METHOD)(b"")
    await worker.read()
    await worker.write(Frames(frames=[Frame(goodbye=Goodbye(reason=Goodbye.REASON_DONE))]).SerializeToString())
    assert (await call.code()).name == "UNAVAILABLE"
    assert await stage.fleet(hub.address).workers() == []


async def test_hub_that_stops_says_so(stage: Stage) -> None:
    hub = await stage.hub()
    peers = [RawPeer(stage.native_channel(hub.address), method) for method in ("Attach", "Session")]
    await peers[0].shake_hands(worker=worker_hello())
    await peers[1].shake_hands()
    stopping = asyncio.create_task(hub.stop())
    for peer in peers:
        assert (await peer.goodbye()).reason == Goodbye.REASON_DONE
        peer.leave()
    await stopping


async def test_worker_may_change_its_slots(stage: Stage) -> None:
    hub = await stage.hub()
    worker = RawPeer(stage.native_channel(hub.address), "Attach")
    await worker.shake_hands(worker=worker_hello(slots=1))
    call = stage.channel(hub.address).unary_unary(METHOD)
    calls = [call(b"%d" % index) for index in range(3)]
    assert len((await worker.read()).frames) == 1
    await worker.send(Frame(slots=Slots(slots=3)))
    assert len((await worker.read()).frames) == 2
    await worker.send(Frame(drain=Drain()))
    assert (await worker.read()).frames[0].HasField("drain")
    for one in calls:
        one.cancel()


# --- attempts at jobs -------------------------------------------------------------------------------------------------


async def test_a_client_that_opens_an_attempt(client: RawPeer) -> None:
    await client.shake_hands()
    attempt = JobAttempt(job=1, number=1)
    await client.send(Frame(call_id=1, open=Open(method=METHOD, half_close=True, attempt=attempt)))
    said = await client.goodbye()
    assert said.reason == PROTOCOL_ERROR
    assert "only a hub does" in said.details


async def test_a_worker_that_holds_attempts_which_cannot_be(worker: RawPeer) -> None:
    hello = worker_hello()
    hello.attempts.add(job=0, number=1)
    await worker.say_hello(worker=hello)
    said = await worker.goodbye()
    assert said.reason == REFUSED
    assert "begin at 1" in said.details


async def test_a_worker_whose_attempts_nobody_knows_is_told_to_let_them_go(worker: RawPeer) -> None:
    hello = worker_hello()
    for job in (7, 7, 8):
        hello.attempts.add(job=job, number=2)
    await worker.shake_hands(worker=hello)
    (frame,) = (await worker.read()).frames
    assert [(one.job, one.number) for one in frame.release.attempts] == [(7, 2), (8, 2)]
    worker.leave()
