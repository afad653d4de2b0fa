"""The end of the link that is in a process: runs the calls that the supervisor sends."""

import asyncio
import ctypes
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

from portcall.errors import ProtocolError
from portcall.protos.portcall.v1.link_pb2 import Drain, Frame, Welcome
from portcall.protos.portcall.v1.process_pb2 import ProcessHello
from portcall.wire.limits import MESSAGE_BYTES_MAX
from portcall.wire.link import Link
from portcall.wire.pump import PeerLeftError, Pump, StreamLostError
from portcall.worker.execution import Execution
from portcall.worker.processes.crew import CANCEL_S
from portcall.worker.processes.mark import Mark
from portcall.worker.processes.reaching import tell
from portcall.worker.processes.stream import PATIENT, open_stream
from portcall.worker.server import Worker

logger = logging.getLogger("portcall.worker")

PR_SET_PDEATHSIG = 1


def die_with(supervisor: int) -> None:
    """See to it that this process does not outlive its supervisor, even where nothing of it runs any more.

    The end of the socket says as much, but only to an interpreter that is not blocked. Linux only.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(1)


async def serve(worker: Worker, end: socket.socket, memory: int) -> None:
    """Run calls of a worker's methods until the supervisor says goodbye, or is gone.

    Args:
        worker: what the app has; it does not dial.
        end: the socket to the supervisor.
        memory: the file of the mark.

    Raises:
        ConfigurationError: the worker has no methods.
    """
    hello = ProcessHello(worker=worker.hello())
    hello.worker.name = worker.name or ""
    tell(worker, hello)
    calls = _SupervisedCalls(worker.make_execution(Mark(memory).cell))
    stream = await open_stream(end)
    await stream.write(hello.SerializeToString())
    loop = asyncio.get_running_loop()
    # The supervisor decides; a signal that reaches its processes too must not come before its word.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    loop.add_signal_handler(signal.SIGTERM, calls.ask_to_be_replaced)
    try:
        await Pump(calls.link, stream, calls.on_frames, PATIENT).run()
    except PeerLeftError:
        pass
    except StreamLostError:
        logger.warning("The supervisor is gone, and %d calls with it", calls.execution.calls_count)
    except ProtocolError as error:
        logger.error("The supervisor broke the protocol: %s", error)  # noqa: TRY400  # the words are enough
    finally:
        await _give_up(calls.execution)
        stream.close()


async def _give_up(execution: Execution) -> None:
    """Cancel what still runs, and give handlers a moment to take note."""
    execution.cancel_all()
    with suppress(TimeoutError):
        async with asyncio.timeout(CANCEL_S):
            await execution.wait_quiet()
    await execution.close()


class _SupervisedCalls:
    """What happens on the link to the supervisor."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.link = Link()
        self.link.establish()
        execution.begin_session(self.link, Welcome(message_bytes_max=MESSAGE_BYTES_MAX))

    def ask_to_be_replaced(self) -> None:
        """Have the supervisor start another process, and then end this one."""
        self.link.send_event(Frame(drain=Drain()))

    def on_frames(self, frames: Sequence[Frame]) -> None:
        """Run calls; events come before them."""
        if not frames[0].call_id:
            for frame in frames:
                if frame.HasField("welcome"):
                    self.execution.message_bytes_max = frame.welcome.message_bytes_max
            frames = [frame for frame in frames if not frame.HasField("welcome")]
        self.execution.on_frames(frames)
