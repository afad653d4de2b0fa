"""The seam between grpcio's blocking layer and the async engine.

grpcio's blocking API, too, has two layers: call objects, errors and multi-callables in Python, and below them a
transport in C, reached through `cygrpc.Channel` and the calls that it makes. The classes of this package have the same
methods. So the call objects of a blocking channel behave as grpcio's, because they are. `tests/tidy/test_seam.py`
compares what the installed grpcio asks for with what there is here.
"""

import time
import weakref
from collections.abc import Callable, Sequence

import grpc

from portcall.client.session import ClientSession
from portcall.sync import forking
from portcall.sync.calls import CLOSED, Call, Opening, UnaryCall
from portcall.sync.engine import Engine
from portcall.sync.events import Batch, ConnectivityEvent, Operations, Tag
from portcall.sync.streams import StreamCall
from portcall.wire.metadata import to_frame

IDLE: int = grpc.ChannelConnectivity.IDLE.value[0]
SHUTDOWN: int = grpc.ChannelConnectivity.SHUTDOWN.value[0]


class BlockingTransport:
    """A channel's transport, with the methods of grpcio's `cygrpc.Channel`.

    Its engine is started by the first call: a process that forks before it, forks without threads of ours.
    """

    def __init__(self, make_session: Callable[[], ClientSession]) -> None:
        self._make_session = make_session
        self._engine: Engine | None = None
        self._is_closed = False
        forking.watch(self)

    def engine(self) -> Engine:
        """Return the engine; start it if this is the first time that it is asked for.

        Raises:
            ValueError: the channel is closed.
            ConfigurationError: gRPC cannot work in this process, because of how it was forked.
        """
        engine = self._engine
        if engine is None:
            with forking.gate:
                forking.check()
                if self._is_closed:
                    raise ValueError(f"Cannot invoke RPC: {CLOSED}")
                if self._engine is None:
                    self._engine = Engine(self._make_session)
                    # A channel that nobody holds closes, and nobody waits for it.
                    weakref.finalize(self, self._engine.close, None)
                engine = self._engine
        return engine

    # --- what grpcio's layer asks for ------------------------------------------------------------------------------

    def segregated_call(
        self,
        flags: int,
        method: bytes,
        host: str | None,
        deadline: float | None,
        metadata: object,
        credentials: object | None,
        operations_and_tags: Sequence[Batch],
        context: object = None,
        registered_call_handle: int | None = None,
    ) -> Call:
        """Begin a call whose events its own thread waits for."""
        return self._call(method, deadline, credentials, operations_and_tags, has_queue=True)

    def integrated_call(
        self,
        flags: int,
        method: bytes,
        host: str | None,
        deadline: float | None,
        metadata: object,
        credentials: object | None,
        operations: Sequence[Operations],
        tag: Tag,
        context: object = None,
        registered_call_handle: int | None = None,
    ) -> Call:
        """Begin a call whose events are told to a tag: in grpcio, what a channel's "managed call" factory does."""
        return self._call(method, deadline, credentials, [(batch, tag) for batch in operations], has_queue=False)

    def check_connectivity_state(self, try_to_connect: bool) -> int:
        """Return the number of the connectivity; begin to dial if asked to."""
        if self._is_closed:
            return SHUTDOWN
        engine = self.engine() if try_to_connect else self._engine
        if engine is None:
            return IDLE
        if try_to_connect:
            engine.connect()
        return int(engine.session.connectivity.value[0])

    def watch_connectivity_state(self, last_observed: int, deadline: float) -> ConnectivityEvent:
        """Wait until the connectivity is another than this number, or until the deadline."""
        engine = self._engine
        if engine is None:
            # There is nothing to watch before the first call; whoever watches asks again and again.
            time.sleep(max(0.0, deadline - time.time()))
            return ConnectivityEvent(success=self.check_connectivity_state(False) != last_observed)
        return ConnectivityEvent(success=engine.watch_connectivity(last_observed, deadline))

    def get_registered_call_handle(self, method: bytes) -> int:
        """Return 0: registering methods saves a link nothing."""
        return 0

    def close(self, code: object = None, details: object = None) -> None:
        """Take no new calls, end those under way, say goodbye and stop. Idempotent."""
        with forking.gate:  # or an engine that is being started would be missed
            self._is_closed = True
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _call(
        self,
        method: bytes,
        deadline: float | None,
        credentials: object | None,
        batches: Sequence[Batch],
        *,
        has_queue: bool,
    ) -> Call:
        opening = Opening(self, method, deadline, credentials, batches)
        if opening.metadata:
            to_frame(opening.metadata)  # so that what cannot be sent is an error here, as in grpcio
        if len(batches) == 1:
            return UnaryCall(self.engine(), opening, batches[0], has_queue=has_queue)
        return StreamCall(self.engine(), opening, batches, has_queue=has_queue)

    # --- what a fork asks for --------------------------------------------------------------------------------------

    def before_fork(self) -> bool:
        """Let go of the stream beneath the link, and with it of gRPC; return whether there was a link."""
        if self._engine is None:
            return False
        self._engine.pause()
        return True

    def after_fork_in_parent(self) -> None:
        """Dial again: the session resumes, and its calls go on."""
        if self._engine is not None:
            self._engine.resume()

    def after_fork_in_child(self) -> None:
        """Start anew with the next call. Those under way are the parent's; here they end."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.abandon("The call was made before this process was forked off")
