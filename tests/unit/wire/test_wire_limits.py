"""The numbers that only work in the right relation to each other."""

from portcall.protos.link_rules import CREDIT_BYTES_INITIAL, FRAME_COST_BYTES_MIN, FRAME_MESSAGE_BYTES_MAX, frame_cost
from portcall.wire import limits, messages


def test_a_whole_frame_fits_into_the_first_credit() -> None:
    assert FRAME_MESSAGE_BYTES_MAX <= CREDIT_BYTES_INITIAL


def test_acknowledgements_come_well_before_a_sender_has_to_stop() -> None:
    """A sender that stops waits for an acknowledgement; it must be one that the receiver owes."""
    batch_bytes_max = limits.BATCH_BYTES_MAX + FRAME_MESSAGE_BYTES_MAX
    assert limits.ACK_BYTES + 2 * batch_bytes_max < limits.UNACKED_BYTES_MAX


def test_the_largest_batch_fits_into_the_stream() -> None:
    small = limits.BATCH_BYTES_MAX + FRAME_MESSAGE_BYTES_MAX
    large = limits.BATCH_BYTES_MAX + FRAME_MESSAGE_BYTES_MAX
    assert small + large < limits.STREAM_BYTES_MAX


def test_a_receiver_always_has_something_to_grant_once_everything_is_read() -> None:
    assert limits.WINDOW_BYTES - messages.GRANT_BELOW_BYTES >= messages.GRANT_BYTES_MIN


def test_a_sender_with_less_than_a_frame_costs_is_granted_more() -> None:
    assert messages.GRANT_BELOW_BYTES >= FRAME_COST_BYTES_MIN


def test_the_smallest_frames_cost_the_same() -> None:
    assert [frame_cost(size) for size in (0, 1, 64, 65)] == [64, 64, 64, 65]
