"""A flood of refusals is told in a few lines."""

from portcall.hub.guard import REFUSALS_KEPT_MAX, SAME_REFUSAL_S, RefusalLog


def test_first_is_told_and_those_like_it_are_counted() -> None:
    log = RefusalLog()
    assert log.admit("ipv4:10.0.0.1:5", "no token", 0.0) == 0
    assert log.admit("ipv4:10.0.0.1:6", "no token", 1.0) is None
    assert log.admit("ipv4:10.0.0.1:7", "no token", SAME_REFUSAL_S - 0.1) is None
    assert log.admit("ipv4:10.0.0.1:8", "no token", SAME_REFUSAL_S) == 2
    assert log.admit("ipv4:10.0.0.1:9", "no token", 2 * SAME_REFUSAL_S) == 0


def test_other_hosts_and_other_reasons_are_told() -> None:
    log = RefusalLog()
    seen = [
        log.admit(peer, words, 0.0)
        for peer, words in (("ipv4:a:1", "x"), ("ipv4:b:1", "x"), ("ipv4:a:1", "y"), ("unix:", "x"), ("unix:", "x"))
    ]
    assert [told is not None for told in seen] == [True, True, True, True, False]


def test_memory_is_bounded() -> None:
    log = RefusalLog()
    for number in range(REFUSALS_KEPT_MAX + 10):
        log.admit(f"ipv4:{number}:1", "x", 0.0)
    assert len(log._last) == REFUSALS_KEPT_MAX
    assert log.admit("ipv4:0:1", "x", 0.0) is not None
