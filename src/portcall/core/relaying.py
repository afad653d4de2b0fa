"""A switchboard behind another, which opens the calls for clients of its own: a hub, in front of a worker's processes.

It differs in what it owes to its client. A hub wants the end of every call, of cancelled and overdue ones too, since
only that frees the slot; and the hub has said who calls. Attempts at jobs outlive the hub's session, so they have a
port that does: what the hub sends of them is left to `keeper`, which opens them on that port.
"""

from typing import Protocol

from portcall.core.attempts import AttemptPort, AttemptSwitchboard
from portcall.core.calls import RUNNING, Call, ClientPort
from portcall.core.refusals import CANCELLED, refusal
from portcall.protos.portcall.v1.link_pb2 import End, Frame, Opens


class AttemptKeeper(Protocol):
    """Takes what a hub sends of attempts."""

    def take_open(self, frame: Frame, /) -> None:
        """Take the open of an attempt."""

    def take_opens(self, opens: Opens, /) -> None:
        """Take the open of many attempts."""

    def take(self, frame: Frame, /) -> bool:
        """Take a frame that belongs to no call; return whether it belongs to attempts."""


class RelaySwitchboard(AttemptSwitchboard):
    """Routes the calls of one worker to its processes. What it cancels ends with what the process says."""

    _names_callers = False
    _watches_timeouts = True

    keeper: AttemptKeeper | None = None
    """Without one, no hub may open attempts here."""

    def _give_up(self, call: Call, end: End | None) -> None:
        if call.state is RUNNING:
            self._stop(call)
        else:
            self._abandon(call, end or refusal(CANCELLED, ""))

    def _take_attempt(self, client: ClientPort, frame: Frame, now: float) -> None:
        if self.keeper is None or isinstance(client, AttemptPort):
            super()._take_attempt(client, frame, now)
        else:
            self.keeper.take_open(frame)

    def _take_attempts(self, client: ClientPort, opens: Opens, now: float) -> None:
        if self.keeper is None or isinstance(client, AttemptPort):
            super()._take_attempts(client, opens, now)
        else:
            self.keeper.take_opens(opens)

    def _stray(self, client: ClientPort, frame: Frame, kind: str | None) -> None:
        if self.keeper is None or isinstance(client, AttemptPort) or not self.keeper.take(frame):
            super()._stray(client, frame, kind)
