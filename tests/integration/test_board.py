"""The switchboard's clock."""

from portcall.core.limits import CallLimits
from portcall.hub.board import Board


async def test_waiting_for_quiet_on_a_quiet_board_returns() -> None:
    board = Board(CallLimits())
    await board.wait_quiet(60)
    board.close()
