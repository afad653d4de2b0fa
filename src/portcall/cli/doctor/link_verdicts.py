"""What a hub's answers mean. Pure: answers in, findings out."""

from collections.abc import Sequence
from typing import Final

import grpc

from portcall.cli.doctor.asking import LinkAnswer
from portcall.cli.doctor.findings import Finding, Step, failed, noted, passed
from portcall.hub.tokens import Role
from portcall.protos.link_rules import PROTOCOL_VERSION
from portcall.wire.access import Access

SLOW_TRIP_S: Final = 0.25


def judge_role(role: Role, answer: LinkAnswer, access: Access, *, is_needed: bool) -> Finding:
    """Judge whether the hub would take a link of this role."""
    step = Step.CLIENT if role is Role.CLIENT else Step.WORKER
    verb = "call" if role is Role.CLIENT else "serve"
    if answer.welcome is not None:
        shown = "without a token" if access.token is None else "with this token"
        return passed(step, f"may {verb} {shown}")
    code, details = answer.code, answer.details
    if code is grpc.StatusCode.PERMISSION_DENIED and not is_needed:
        return noted(step, f"may not {verb}: {details}", f"Nothing, unless it is to {verb}", code=code.name)
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return failed(
            step,
            f"may not {verb}: {details}",
            f"Use a token that has the role {role.value}, or add the role to its line in the hub's token file",
            is_mistake=True,
            code=code.name,
        )
    if code is grpc.StatusCode.UNAUTHENTICATED:
        remedy = (
            "Set PORTCALL_TOKEN, or name the file that has the token with --token-file"
            if access.token is None
            else "Compare it with the hub's token file; the hub's log says whether the last change of that was taken up"
        )
        return failed(step, f"may not {verb}: {details}", remedy, is_mistake=True, code=code.name)
    return _judge_no_hub(step, answer)


def _judge_no_hub(step: Step, answer: LinkAnswer) -> Finding:
    """Judge an answer that is no hub's yes or no."""
    if answer.goodbye is not None:
        return failed(step, f"the hub refuses: {answer.goodbye}", "Do as it says", is_mistake=True)
    if answer.code is None:
        return failed(step, answer.details, "Look at the hub's log", is_mistake=False)
    words = f"{answer.code.name}: {answer.details}"
    if answer.code is grpc.StatusCode.UNIMPLEMENTED:
        return failed(
            step,
            f"it speaks HTTP/2, and is no Portcall hub ({words})",
            "Correct --hub; if it is a proxy, it has to pass /portcall.v1.Hub/ on to the hub",
            is_mistake=True,
        )
    if "http2 header with status" in answer.details:
        return failed(
            step,
            f"a proxy answers in the hub's place ({words})",
            "Have the proxy pass gRPC on to the hub, without a limit of time or size, and look at its own log",
            is_mistake=False,
        )
    return failed(step, words, "Look at the hub's log, and at what is between here and there", is_mistake=False)


def judge_link(answer: LinkAnswer, ours: str) -> Finding:
    """Judge the versions of both sides."""
    welcome = answer.welcome
    assert welcome is not None
    agent = welcome.agent or "a hub that does not say its version"
    facts = {
        "protocol": welcome.protocol,
        "agent": welcome.agent,
        "grace_s": welcome.grace_ms / 1e3,
        "ping_interval_s": welcome.ping_interval_ms / 1e3,
        "message_bytes_max": welcome.message_bytes_max,
    }
    if welcome.protocol != PROTOCOL_VERSION:
        words = f"{agent} speaks version {welcome.protocol} of the link, this is version {PROTOCOL_VERSION}"
        return failed(Step.LINK, words, "Use the same Portcall on both sides", is_mistake=True, **facts)
    theirs = agent.rpartition("/")[2]
    if theirs != ours:
        return noted(Step.LINK, f"{agent} there, {ours} here", "Use the same Portcall on both sides", **facts)
    return passed(Step.LINK, f"{agent}, link version {welcome.protocol}", **facts)


def judge_trips(trips_s: Sequence[float], error: Exception | None) -> Finding:
    """Judge how long pings took to come back."""
    if error is not None:
        words = "a ping is not answered" if isinstance(error, TimeoutError) else f"the link broke: {error}"
        remedy = "Look at what is between here and the hub: it may pass on only what comes first"
        return failed(Step.ROUND_TRIP, words, remedy, is_mistake=False)
    middle_s = sorted(trips_s)[len(trips_s) // 2]
    words = f"{middle_s * 1e3:.1f} ms, of {len(trips_s)} between {min(trips_s) * 1e3:.1f} and {max(trips_s) * 1e3:.1f}"
    facts = {"median_s": middle_s, "trips_s": list(trips_s)}
    if middle_s > SLOW_TRIP_S:
        remedy = "Calls one after the other are this slow; many at once (.map) are not"
        return noted(Step.ROUND_TRIP, words, remedy, **facts)
    return passed(Step.ROUND_TRIP, words, **facts)


def judge_idle(wanted_s: float, held_s: float, error: Exception | None, ping_interval_s: float) -> Finding:
    """Judge a link on which nothing was said for some time."""
    facts = {"wanted_s": wanted_s, "held_s": held_s, "ping_interval_s": ping_interval_s}
    if error is None:
        return passed(Step.IDLE, f"a link that was silent for {wanted_s:g} s still holds", **facts)
    how = "is dead, and nobody has said so" if isinstance(error, TimeoutError) else f"was cut ({error})"
    words = f"a link {how} after {held_s:.0f} s of silence"
    if 0 < ping_interval_s < held_s / 2:
        remedy = f"Nothing: this hub has links speak every {ping_interval_s:g} s, so they are never silent that long"
        return noted(Step.IDLE, words, remedy, **facts)
    remedy = (
        "Something between here and the hub ends streams that are idle. Give it a longer time, or have links speak more"
        f" often: portcall hub --ping-interval {max(1, int(held_s / 3))}"
    )
    return failed(Step.IDLE, words, remedy, is_mistake=True, **facts)
