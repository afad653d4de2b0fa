"""A switchboard behind another, which opens the calls for clients of its own: a hub, in front of a worker's processes.

It differs in what it owes to its client. A hub wants the end of every call, of cancelled and overdue ones too, since
only that frees the slot; and the hub has said who calls.
"""

from portcall.core.calls import RUNNING, Call
from portcall.core.refusals import CANCELLED, refusal
from portcall.core.switchboard import Switchboard
from portcall.protos.portcall.v1.link_pb2 import Cancel, End, Frame


class RelaySwitchboard(Switchboard):
    """Routes the calls of one worker to its processes. What it cancels ends with what the process says."""

    _names_callers = False

    def _give_up(self, call: Call, end: End | None) -> None:
        if call.state is RUNNING:
            self._stop(call)
        else:
            self._abandon(call, end or refusal(CANCELLED, ""))

    def _stop(self, call: Call) -> None:
        """Have a running call stopped; its end is passed on when it comes. Idempotent."""
        if call.is_stopping:
            return
        call.is_stopping = True
        assert call.worker is not None
        call.worker.sink.drop_chunks(call.worker_id)
        call.worker.sink.send_ahead(Frame(call_id=call.worker_id, cancel=Cancel()))
