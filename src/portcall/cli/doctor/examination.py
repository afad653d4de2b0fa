"""The steps of an examination, in their order: each is looked at only if the way holds up to it."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from portcall._version import __version__
from portcall.cli.doctor.asking import LinkAnswer, LinkProbe
from portcall.cli.doctor.findings import Finding, Outcome
from portcall.cli.doctor.link_verdicts import judge_idle, judge_link, judge_role, judge_trips
from portcall.cli.doctor.looks import (
    Place,
    ProxyRefusedError,
    checking_context,
    connection,
    look_at_http2,
    look_at_port,
    look_at_tls,
    resolve,
)
from portcall.cli.doctor.looks import is_http2 as is_answer_http2
from portcall.cli.doctor.proxies import HttpProxy, proxy_of
from portcall.cli.doctor.tls_verdicts import judge_tls, server_name
from portcall.cli.doctor.verdicts import judge_http2, judge_name, judge_port, judge_proxy, judge_socket
from portcall.hub.tokens import Role
from portcall.wire.access import Access, Tls, host_and_port, unix_path
from portcall.wire.dialer import REASONS_LOST_MAX
from portcall.wire.pump import REASON_LOST

TRIPS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What is to be found out."""

    access: Access
    roles: Sequence[Role] = ()
    """Those that have to be admitted; if there are none, one of both has to be."""

    idle_s: float = 0.0
    timeout_s: float = 5.0
    environ: Mapping[str, str]


async def examine(wanted: Examination) -> AsyncIterator[Finding]:
    """Go the way to the hub; yield a finding for each step, and end behind the first that fails."""
    place = Place()
    async for finding, found in _find_place(wanted):
        yield finding
        if finding.outcome is Outcome.FAILED:
            return
        place = found
    async for finding in _look_below(wanted, place):
        yield finding
        if finding.outcome is Outcome.FAILED:
            return
    async for finding in _ask(wanted):
        yield finding


async def _find_place(wanted: Examination) -> AsyncIterator[tuple[Finding, Place]]:
    """Find where connections can be made: by socket, by proxy, or by name and port."""
    target, timeout_s = wanted.access.target, wanted.timeout_s
    if target.startswith("unix:"):
        place = Place(unix=unix_path(target))
        yield judge_socket(str(place.unix), await _connect(place, timeout_s)), place
        return
    host, port = host_and_port(target)
    proxy = proxy_of(host, wanted.environ)
    if proxy is not None:
        place = Place(host=host, port=port, proxy=(proxy.host, proxy.port))
        yield await _judge_proxied(proxy, place, timeout_s), place
        return
    place = Place(host=host, port=port)
    try:
        addresses = await resolve(host, port, timeout_s)
    except OSError as error:
        yield judge_name(host, error), place
        return
    yield judge_name(host, addresses), place
    look = await look_at_port(addresses, port, timeout_s)
    yield judge_port(look, port), Place(host=next(iter(look.taken), host), port=port)


async def _judge_proxied(proxy: HttpProxy, place: Place, timeout_s: float) -> Finding:
    error: Exception | None = None
    try:
        async with connection(place, timeout_s):
            pass
    except (OSError, ProxyRefusedError) as caught:
        error = caught
    return judge_proxy(proxy, place.host, error)


async def _connect(place: Place, timeout_s: float) -> OSError | None:
    try:
        async with connection(place, timeout_s):
            return None
    except OSError as error:
        return error


async def _look_below(wanted: Examination, place: Place) -> AsyncIterator[Finding]:
    """Look at TLS and at HTTP/2."""
    access, timeout_s = wanted.access, wanted.timeout_s
    name = server_name(host_and_port(access.target)[0])
    if not access.is_encrypted:
        answer = await look_at_http2(place, timeout_s)
        is_tls_there = False
        if not is_answer_http2(answer.data) and place.unix is None:
            is_tls_there = (await look_at_tls(place, name, Tls(), timeout_s)).error is None
        yield judge_http2(answer, access, is_tls_there=is_tls_there)
        return
    assert access.tls is not None
    look = await look_at_tls(place, name, access.tls, timeout_s)
    is_plain = look.error is not None and is_answer_http2((await look_at_http2(place, timeout_s)).data)
    finding = judge_tls(look, name, access.tls, time.time(), is_plain_http2=is_plain)
    yield finding
    if finding.outcome is not Outcome.FAILED:
        answer = await look_at_http2(place, timeout_s, checking_context(access.tls), name)
        yield judge_http2(answer, access, is_tls_there=True)


async def _ask(wanted: Examination) -> AsyncIterator[Finding]:
    """Ask the hub what it would let us do, and try a link of the first kind that it would take."""
    answers = {role: await _ask_role(wanted, role) for role in (wanted.roles or tuple(Role))}
    is_any_taken = any(answer.welcome is not None for answer in answers.values())
    for role, answer in answers.items():
        yield judge_role(role, answer, wanted.access, is_needed=bool(wanted.roles) or not is_any_taken)
    taken = next((role for role, answer in answers.items() if answer.welcome is not None), None)
    if taken is None:
        return
    async for finding in _try_link(wanted, taken):
        yield finding


async def _ask_role(wanted: Examination, role: Role) -> LinkAnswer:
    for _ in range(REASONS_LOST_MAX):
        async with LinkProbe(wanted.access, role, wanted.timeout_s) as probe:
            answer = await probe.ask()
        if (answer.code, answer.details) != REASON_LOST:
            break
    return answer


async def _try_link(wanted: Examination, role: Role) -> AsyncIterator[Finding]:
    """Look at versions, at round trips, and if that is wanted at how a link holds that says nothing."""
    async with LinkProbe(wanted.access, role, wanted.timeout_s) as probe:
        answer = await probe.ask()
        if answer.welcome is None:
            yield judge_role(role, answer, wanted.access, is_needed=True)
            return
        yield judge_link(answer, __version__)
        trips_s: list[float] = []
        error = await _trips(probe, trips_s)
        yield judge_trips(trips_s, error)
        if error is not None or not wanted.idle_s:
            return
        held_s = await probe.stay_idle(wanted.idle_s)
        error = await _trips(probe, trips_s, count=1)
        yield judge_idle(wanted.idle_s, held_s, error, answer.welcome.ping_interval_ms / 1e3)


async def _trips(probe: LinkProbe, trips_s: list[float], count: int = TRIPS) -> Exception | None:
    try:
        trips_s.extend([await probe.ping() for _ in range(count)])
    except (TimeoutError, ConnectionError) as error:
        return error
    return None
