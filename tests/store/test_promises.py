"""What every store promises, one promise a test. `test_lockstep` looks for what these have not thought of."""

from collections.abc import Iterator

import pytest

from portcall.core.jobs.batch import (
    UNSORTED,
    AttemptOutcome,
    BadParent,
    Change,
    Checkpoint,
    Dependency,
    Existing,
    Flow,
    FlowPage,
    Label,
    Look,
    MethodIds,
    MethodOptionsRow,
    NewValue,
    Note,
    Purge,
    Reply,
    Revival,
    ScheduleRow,
)
from portcall.core.jobs.causes import ASKED, PARENT_UNSUCCESSFUL, WITH_PARENT
from portcall.core.jobs.rows import AttemptRow, Backlog, JobFilter, NoteRow, ReplyRow, Tally
from portcall.core.jobs.states import (
    CANCELLED,
    CANCELLING,
    FAILED,
    READY,
    RUNNING,
    SCHEDULED,
    SUCCEEDED,
    WAITING,
    JobState,
)

from .rows import METHOD, NOW, Session, again, claim, end, new_job, running
from .stores import Place

OTHER = "/b.B/Other"


@pytest.fixture
def session(place: Place) -> Iterator[Session]:
    session = Session(place)
    yield session
    session.close()


# --- what is written is there -----------------------------------------------------------------------------------------


def test_everything_of_a_job_comes_back(session: Session) -> None:
    row = new_job(
        7, state=SCHEDULED, rank=-5, due_at=2_000.5, value="é\U0001f40d", key="k", overrides=b"o", metadata=b"m",
        request=b"\x00\xff",
    )  # fmt: skip
    session.write(appends=[row], labels=[Label(7, "b", "2"), Label(7, "a", "1")])
    session.reopen()
    job = session.job(7)
    for name in ("id", "rank", "attempt", "due_at", "value", "key", "metadata", "request"):
        assert getattr(job, name) == getattr(row, name), name
    assert (job.method, job.state, job.labels) == (METHOD, SCHEDULED, (("a", "1"), ("b", "2")))


@pytest.mark.parametrize("size", [0, 1, 1_024, 1_025, 1_000_000])
def test_payloads_of_any_size_come_back(session: Session, size: int) -> None:
    request, reply = b"q" * size, b"r" * size
    session.write(appends=[running(1, request=request), new_job(2, request=request)])
    session.write(ends=[end(1, reply=reply)])
    [[claimed]] = session.write(claims=[claim()]).claims
    session.reopen()
    assert (session.job(1).request, session.job(1).reply) == (request, reply)
    assert claimed.request == request


def test_many_rows_are_written_as_they_are(session: Session) -> None:
    count = 1_111
    session.write(appends=[running(id_, key=f"k{id_}" if id_ % 3 else None) for id_ in range(1, count + 1)])
    session.write(ends=[end(id_, reply=b"%d" % id_ if id_ % 7 else None) for id_ in range(1, count + 1)])
    rows = session.reader.get(range(1, count + 1))
    assert [row.key for row in rows] == [f"k{id_}" if id_ % 3 else None for id_ in range(1, count + 1)]
    assert [row.reply for row in rows] == [b"%d" % id_ if id_ % 7 else None for id_ in range(1, count + 1)]


def test_methods_and_options_keep_their_numbers(session: Session) -> None:
    first = session.write(methods=[MethodOptionsRow(METHOD, b"new"), MethodOptionsRow(OTHER, b"")]).methods
    assert first == {METHOD: MethodIds(1, 2), OTHER: MethodIds(2, 1)}
    session.reopen()
    assert session.write(methods=[MethodOptionsRow(METHOD, b"")]).methods == {METHOD: MethodIds(1, 1)}
    stored = session.store.stored()
    assert {row.name: (row.id, row.policy) for row in stored.methods} == {METHOD: (1, 1), OTHER: (2, 1)}
    assert stored.policies == {1: b"", 2: b"new"}


def test_a_store_that_is_opened_tells_what_an_engine_needs(session: Session) -> None:
    session.write(appends=[running(1, rank=-5, value="v"), new_job(2), new_job(3, state=SCHEDULED, due_at=5_000.0)])
    session.write(
        notes=[Note(1, 1, (1 << 20) + 4, NOW, 1, b"p")],
        replies=[Reply(1, 1, 0, b"r")],
        schedules=[ScheduleRow("s", b"spec", 9.0, None, 3), ScheduleRow("t", b"spec", None, 4.0, 50)],
    )
    session.reopen()
    stored = session.store.stored()
    [held] = stored.held
    assert (held.id, held.state, held.rank, held.value, held.attempt) == (1, RUNNING, -5, "v", 1)
    assert (held.notes, held.replies, held.started_at) == ((1 << 20) + 4, 1, NOW)
    assert (stored.ready_methods, stored.next_due_at, stored.last_job, stored.ended) == ([1], 5_000.0, 3, 0)
    assert stored.live_scheduled == {3}
    assert [row.name for row in stored.schedules] == ["s", "t"]


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_belongs_to_one_job_of_a_method(session: Session) -> None:
    session.write(methods=[MethodOptionsRow(OTHER, b"")])
    session.write(appends=[new_job(1, key="k")])
    written = session.write(appends=[new_job(2, key="k"), new_job(3, key="k", method=2), new_job(4, key="l")])
    assert written.existing == {2: Existing(1, READY)}
    assert set(session.states()) == {1, 3, 4}


def test_two_jobs_of_one_batch_cannot_share_a_key(session: Session) -> None:
    written = session.write(appends=[new_job(1, key="k"), new_job(2, key="k")])
    assert written.existing == {2: Existing(1, READY)}


@pytest.mark.parametrize("state", [SUCCEEDED, FAILED, CANCELLED])
def test_a_key_can_be_taken_over_from_a_job_that_failed_or_was_cancelled(session: Session, state: JobState) -> None:
    session.write(appends=[running(1, key="k")])
    session.write(ends=[end(1, state)])
    written = session.write(appends=[new_job(2, key="k")], replaceable=frozenset({2}))
    if state is SUCCEEDED:
        assert written.existing == {2: Existing(1, SUCCEEDED)}
    else:
        assert (session.job(1).key, session.job(2).key) == (None, "k")


# --- jobs that wait for others ----------------------------------------------------------------------------------------


def test_a_job_waits_until_all_others_have_succeeded(session: Session) -> None:
    session.write(appends=[running(1), running(2)])
    written = session.write(appends=[new_job(3)], dependencies=[Dependency(3, 1), Dependency(3, 2)])
    assert (written.waiting, session.job(3).pending) == ({3}, 2)
    assert session.write(ends=[end(1)]).released == frozenset()
    assert (session.job(3).state, session.job(3).pending) == (WAITING, 1)
    assert session.write(ends=[end(2)]).released == {Flow(1, 0, "")}
    assert session.job(3).state is READY


def test_a_job_whose_time_is_later_waits_on_for_that(session: Session) -> None:
    session.write(appends=[running(1), new_job(2, state=SCHEDULED, due_at=9_000.0)], dependencies=[Dependency(2, 1)])
    assert session.store.stored().next_due_at is None
    written = session.write(ends=[end(1)])
    assert (written.released, written.next_due_at) == (frozenset(), 9_000.0)
    assert session.job(2).state is SCHEDULED


def test_a_job_does_not_wait_for_one_that_has_succeeded(session: Session) -> None:
    session.write(appends=[running(1)])
    session.write(ends=[end(1)])
    assert session.write(appends=[new_job(2)], dependencies=[Dependency(2, 1)]).waiting == frozenset()


@pytest.mark.parametrize("state", [FAILED, CANCELLED, None])
def test_a_job_that_could_only_wait_in_vain_is_refused(session: Session, state: JobState | None) -> None:
    session.write(appends=[running(1)])
    if state is not None:
        session.write(ends=[end(1, state)])
    parent = 1 if state is not None else 50
    written = session.write(
        appends=[new_job(2), new_job(3)], dependencies=[Dependency(2, parent)], labels=[Label(2, "a", "b")]
    )
    assert written.refused == {2: BadParent(parent, state)}
    assert set(session.states()) == {1, 3}


@pytest.mark.parametrize("state", [FAILED, CANCELLED])
def test_jobs_that_wait_for_one_that_does_not_succeed_are_cancelled_down_the_line(
    session: Session, state: JobState
) -> None:
    chain = [Dependency(id_, id_ - 1) for id_ in range(2, 2_001)]
    session.write(appends=[running(1), *map(new_job, range(2, 2_001))], dependencies=chain)
    written = session.write(ends=[end(1, state)])
    assert written.changes == [Change(id_, 1, 0, CANCELLED, PARENT_UNSUCCESSFUL) for id_ in range(2, 2_001)]
    assert (session.job(2_000).status, session.job(2_000).details) == (1, PARENT_UNSUCCESSFUL)


# --- cancelling, and running again ------------------------------------------------------------------------------------


def test_a_cancel_ends_what_nobody_holds_and_tells_the_rest_to_stop(session: Session) -> None:
    session.write(appends=[running(1), new_job(2), new_job(3, state=SCHEDULED)])
    written = session.write(cancels=[3, 1, 2, 50])
    assert sorted(written.changes) == [
        Change(1, 1, 1, CANCELLING, ASKED),
        Change(2, 1, 0, CANCELLED, ASKED),
        Change(3, 1, 0, CANCELLED, ASKED),
    ]
    assert (session.job(2).details, session.job(2).ended_at) == (ASKED, session.now)
    assert session.write(cancels=[1, 2, 3]).changes == []


def test_children_are_cancelled_with_their_parents(session: Session) -> None:
    session.write(appends=[running(1)])
    session.write(appends=[new_job(2, parent=1), running(3, parent=1)])
    session.write(appends=[new_job(4, parent=3)])
    session.write(cancels=[1])
    assert session.states() == {1: CANCELLING, 2: CANCELLED, 3: CANCELLING, 4: CANCELLED}
    assert session.job(4).details == WITH_PARENT
    assert [(held.id, held.details) for held in session.store.stored().held] == [(1, ASKED), (3, WITH_PARENT)]


@pytest.mark.parametrize("is_held", [True, False])
def test_nothing_is_submitted_by_a_job_that_is_cancelled_in_the_same_moment(session: Session, is_held: bool) -> None:
    session.write(appends=[running(1) if is_held else new_job(1)])
    written = session.write(cancels=[1], appends=[new_job(2, parent=1), new_job(3, parent=50)])
    assert written.refused == {2: BadParent(1, CANCELLING if is_held else CANCELLED), 3: BadParent(50, None)}


def test_an_attempt_that_succeeds_though_it_was_to_stop_has_succeeded(session: Session) -> None:
    session.write(appends=[running(1)])
    session.write(cancels=[1])
    assert session.write(ends=[end(1)]).stale == {1}
    assert session.write(ends=[end(1, was=int(CANCELLING))]).stale == frozenset()
    assert session.job(1).state is SUCCEEDED


def test_a_job_that_failed_begins_anew(session: Session) -> None:
    session.write(appends=[running(1, rank=-1_000)])
    session.write(ends=[end(1, FAILED, failures=3, deaths=1, details="no luck")])
    written = session.write(revivals=[Revival(1, 0), Revival(50, 0)])
    assert (written.changes, written.released) == ([Change(1, 1, 1, READY)], {Flow(1, 0, "")})
    job = session.job(1)
    assert (job.failures, job.deaths, job.status, job.details, job.ended_at, job.expires_at) == (
        0,
        0,
        None,
        "",
        None,
        None,
    )
    [attempt] = session.reader.attempts(1)
    assert (attempt.number, attempt.status, attempt.details) == (1, 14, "no luck")
    [[claimed]] = session.write(claims=[claim()]).claims
    assert claimed.attempt == 2


@pytest.mark.parametrize("state", [SUCCEEDED, None])
def test_other_jobs_do_not_begin_anew(session: Session, state: JobState | None) -> None:
    session.write(appends=[running(1)])
    if state is not None:
        session.write(ends=[end(1, state)])
    assert session.write(revivals=[Revival(1, 0)]).changes == []


# --- attempts ---------------------------------------------------------------------------------------------------------


def test_jobs_start_in_their_flow_the_oldest_first(session: Session) -> None:
    session.write(appends=[new_job(4), new_job(2), new_job(3, value="v"), new_job(5, rank=-1), new_job(6)])
    written = session.write(claims=[claim(2), claim(9, value="v"), claim(9, value="w")])
    assert [[job.id for job in jobs] for jobs in written.claims] == [[2, 4], [3], []]
    assert session.states() == {2: RUNNING, 3: RUNNING, 4: RUNNING, 5: READY, 6: READY}
    assert session.job(2).started_at == session.now


def test_an_attempt_that_does_not_hold_its_job_changes_nothing(session: Session) -> None:
    session.write(appends=[running(1), running(2), running(3), running(4)])
    session.write(ends=[end(3)], agains=[again(4)])
    written = session.write(
        ends=[end(1, attempt=2), end(2), end(3, reply=b"another"), end(50)],
        agains=[again(4)],
        notes=[Note(3, 1, 5, NOW, 1, b""), Note(2, 1, 6, NOW, 1, b"")],
        replies=[Reply(1, 2, 0, b"r")],
        checkpoints=[Checkpoint(50, 1, NOW, 0, b"c")],
    )
    assert written.stale == {1, 3, 4, 50}
    assert written.unheard == {1, 3, 50}
    assert session.states() == {1: RUNNING, 2: SUCCEEDED, 3: SUCCEEDED, 4: READY}
    assert session.job(3).reply == b"reply"


def test_what_an_attempt_told_last_is_kept_though_it_ends_with_the_same_batch(session: Session) -> None:
    session.write(appends=[running(1)])
    written = session.write(notes=[Note(1, 1, 5, NOW, 2, b"n")], replies=[Reply(1, 1, 0, b"r")], ends=[end(1)])
    assert written.unheard == frozenset()
    assert session.reader.notes(1, after=4, limit=9) == [NoteRow(1, 5, NOW, 2, b"n")]
    assert session.reader.replies(1, offset=0, limit=9) == [ReplyRow(0, 1, b"r")]


def test_an_attempt_that_another_follows_is_kept(session: Session) -> None:
    session.write(appends=[running(1)])
    session.write(agains=[again(1, state=int(SCHEDULED), due_at=1_500.0, rank=-1_000, deaths=1)])
    job = session.job(1)
    assert (job.state, job.due_at, job.rank, job.failures, job.deaths) == (SCHEDULED, 1_500.0, -1_000, 1, 1)
    expected = AttemptRow(1, 1, NOW, session.now, again(1).outcome, 14, "no luck", "w")
    assert session.reader.attempts(1) == [expected]


def test_of_attempts_that_were_handed_back_the_latest_is_kept(session: Session) -> None:
    session.write(appends=[running(1)])
    outcomes = [AttemptOutcome.HANDED_BACK] * 3 + [AttemptOutcome.FAILED] + [AttemptOutcome.HANDED_BACK] * 2
    for number, outcome in enumerate(outcomes, 1):
        session.write(agains=[again(1, attempt=number, outcome=outcome)])
        if number == 3:
            assert [row.number for row in session.reader.attempts(1)] == [3]
        session.write(claims=[claim()])
    assert [(row.number, row.outcome) for row in session.reader.attempts(1)] == [(4, outcomes[3]), (6, outcomes[5])]


def test_jobs_become_ready_when_their_time_has_come_the_earliest_first(session: Session) -> None:
    times = {1: 30.0, 2: 10.0, 3: 20.0, 4: 10.0, 5: 99.0}
    session.write(appends=[new_job(id_, state=SCHEDULED, due_at=NOW + at) for id_, at in times.items()])
    written = session.write(now=NOW + 50.0, promote_max=3)
    assert (written.promoted, written.next_due_at) == (3, NOW + 30.0)
    assert session.states() == {1: SCHEDULED, 2: READY, 3: READY, 4: READY, 5: SCHEDULED}
    assert session.write(now=NOW + 50.0, promote_max=9).promoted == 1


def test_an_attempt_goes_on_behind_the_last_checkpoint(session: Session) -> None:
    session.write(appends=[running(1)])
    session.write(replies=[Reply(1, 1, k, b"%d" % k) for k in range(3)], checkpoints=[Checkpoint(1, 1, NOW, 3, b"a")])
    checkpoint = Checkpoint(1, 1, NOW + 1, 4, b"b")
    session.write(replies=[Reply(1, 1, k, b"%d" % k) for k in range(3, 6)], checkpoints=[checkpoint])
    session.write(agains=[again(1)])
    assert session.job(1).replies == 6
    assert session.write(claims=[claim()]).checkpoints == {1: checkpoint}
    assert [row.offset for row in session.reader.replies(1, offset=0, limit=9)] == [0, 1, 2, 3]


def test_an_attempt_without_a_checkpoint_begins_at_the_beginning(session: Session) -> None:
    session.write(appends=[running(1)])
    session.write(replies=[Reply(1, 1, 0, b"r")])
    session.write(agains=[again(1)])
    assert session.write(claims=[claim()]).checkpoints == {}
    assert session.job(1).replies == 0


def test_ready_jobs_get_the_values_that_nobody_knew(session: Session) -> None:
    large = b"l" * 5_000
    requests = [b"1", large, b"3", b"4"]
    session.write(appends=[new_job(id_, value=UNSORTED, request=body) for id_, body in enumerate(requests, 1)])
    flow = Flow(1, 0, UNSORTED)
    looks = session.write(looks=[Look(flow, 9, 5_000), Look(flow, 3, 99_999), Look(Flow(1, 7, UNSORTED), 9, 9)]).looks
    assert [list(look) for look in looks] == [[(1, b"1"), (2, large)], [(1, b"1"), (2, large), (3, b"3")], []]
    session.write(claims=[claim(value=UNSORTED)])
    sorted_now = session.write(
        values=[NewValue(job, "x") for job in (1, 2, 3, 50)], claims=[claim(9, value="x")], looks=[Look(flow, 9, 9)]
    )
    assert [job.id for job in sorted_now.claims[0]] == [2, 3]
    assert [list(look) for look in sorted_now.looks] == [[(4, b"4")]]
    assert session.job(1).value == UNSORTED
    session.write(values=[NewValue(2, "y")])
    assert session.job(2).value == "x"


# --- forgetting -------------------------------------------------------------------------------------------------------


def test_jobs_are_forgotten_with_all_that_belongs_to_them(session: Session) -> None:
    large = b"l" * 5_000
    session.write(appends=[running(1, request=large, key="k"), running(2)], labels=[Label(1, "a", "b")])
    session.write(
        notes=[Note(1, 1, 5, NOW, 1, b"")],
        replies=[Reply(1, 1, 0, b"r")],
        checkpoints=[Checkpoint(1, 1, NOW, 1, b"c")],
        ends=[end(1, reply=large)],
    )
    assert session.write(forget=[1, 2, 50]).purged == 1
    assert set(session.states()) == {2}
    assert session.reader.notes(1, after=0, limit=9) == session.reader.replies(1, offset=0, limit=9) == []
    assert session.reader.find(JobFilter(label="a"), before=None, limit=9, with_payloads=False).jobs == []
    assert session.write(appends=[new_job(3, key="k")]).existing == {}


def test_what_expires_first_goes_first(session: Session) -> None:
    session.write(appends=[running(1, keep_s=30.0), running(2, keep_s=10.0), running(3, keep_s=20.0), running(4)])
    session.write(ends=[end(1), end(2), end(3)])
    ended_at = session.now
    assert session.job(2).expires_at == ended_at + 10.0
    assert session.write(purge=Purge(ended_at + 25.0, 1)).purged == 1
    assert set(session.states()) == {1, 3, 4}
    written = session.write(purge=Purge(ended_at + 25.0, 9))
    assert (written.purged, written.ended, set(session.states())) == (1, 1, {1, 4})


def test_steps_stay_while_their_parent_may_ask_for_them_again(session: Session) -> None:
    session.write(appends=[running(1)])
    session.write(appends=[running(2, parent=1, step="s", key="\x1f1/s", keep_s=0.0), running(3, parent=1, keep_s=0.0)])
    session.write(ends=[end(2), end(3)])
    assert session.write(purge=Purge(9_999.0, 9)).purged == 1
    assert set(session.states()) == {1, 2}
    session.write(ends=[end(1)])
    assert session.write(purge=Purge(session.now, 9)).purged == 1
    assert set(session.states()) == {1}


def test_the_id_of_a_forgotten_job_is_never_free_again(session: Session) -> None:
    session.write(appends=[running(1), running(90)])
    session.write(ends=[end(90)])
    session.write(forget=[90])
    session.reopen()
    assert session.store.stored().last_job == 90


# --- questions --------------------------------------------------------------------------------------------------------


def test_jobs_are_counted_by_method_and_state(session: Session) -> None:
    session.write(methods=[MethodOptionsRow(OTHER, b"")])
    session.write(appends=[new_job(1), running(2), running(3), new_job(4, method=2)])
    session.write(ends=[end(2)])
    session.reopen()
    assert session.reader.tallies() == [
        Tally(METHOD, READY, 1),
        Tally(METHOD, RUNNING, 1),
        Tally(METHOD, SUCCEEDED, 1),
        Tally(OTHER, READY, 1),
    ]


def test_what_waits_is_told_by_method(session: Session) -> None:
    session.write(methods=[MethodOptionsRow(OTHER, b"")])
    session.write(
        appends=[
            new_job(1, due_at=50.0, value="b"),
            new_job(2, due_at=10.0, value="b"),
            new_job(3, due_at=40.0, rank=5),
            new_job(4, method=2, state=SCHEDULED, due_at=NOW + 99),
            running(5, method=2),
        ]
    )
    assert session.reader.backlogs() == [Backlog(METHOD, 0, 40.0)], "of each flow, the oldest counts"
    session.write(agains=[again(5, method=2, state=int(SCHEDULED), due_at=NOW + 50)])
    assert session.reader.backlogs() == [Backlog(METHOD, 0, 40.0), Backlog(OTHER, 1, None)]


def test_flows_are_listed_page_by_page(session: Session) -> None:
    flows = [(-5, "b"), (0, ""), (0, "a"), (0, "b"), (7, "")]
    session.write(appends=[new_job(id_, rank=rank, value=value) for id_, (rank, value) in enumerate(flows, 1)])
    session.write(appends=[new_job(9, rank=0, value="a"), running(10, rank=3)])
    pages = session.write(
        flow_pages=[FlowPage(1, None, 2), FlowPage(1, (0, ""), 9), FlowPage(1, (7, ""), 9)]
    ).flow_pages
    assert [list(page) for page in pages] == [flows[:2], flows[2:], []]


def test_a_listing_goes_page_by_page_the_newest_first(session: Session) -> None:
    session.write(appends=[running(id_, key=f"k{id_}") for id_ in range(1, 8)])
    session.write(ends=[end(2, FAILED), end(5, FAILED), end(6)])
    wanted, found, before = JobFilter(method=METHOD, states=frozenset({FAILED, RUNNING})), [], None
    while True:
        page = session.reader.find(wanted, before=before, limit=2, with_payloads=True)
        found += [job.id for job in page.jobs]
        before = page.next_before
        if before is None:
            break
    assert found == [7, 5, 4, 3, 2, 1]
    assert [
        job.id for job in session.reader.find(JobFilter(key="k3"), before=None, limit=9, with_payloads=False).jobs
    ] == [3]


def test_a_listing_may_leave_payloads_out(session: Session) -> None:
    session.write(appends=[new_job(1, metadata=b"m")])
    page = session.reader.find(JobFilter(), before=None, limit=9, with_payloads=False)
    assert (page.jobs[0].request, page.jobs[0].metadata) == (None, None)


def test_schedules_are_replaced_and_removed_by_name(session: Session) -> None:
    row = ScheduleRow("s", b"spec", 1.5, None, None)
    session.write(schedules=[row, ScheduleRow("t", b"spec", None, 2.5, 9)])
    session.write(schedules=[row._replace(next_at=3.5)], schedules_removed=["t", "u"])
    assert session.reader.schedules() == [row._replace(next_at=3.5)]


def test_what_is_committed_is_seen_by_readers_at_once(session: Session) -> None:
    reader = session.store.reader()
    session.write(appends=[new_job(1)])
    assert reader.states([1]) == {1: READY}
    session.write(claims=[claim()])
    assert reader.states([1]) == {1: RUNNING}
    reader.close()
