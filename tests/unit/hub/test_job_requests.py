"""Reading what is submitted: many plain jobs in one go, and others one by one."""

from hypothesis import given
from hypothesis import strategies as st

from portcall.hub.jobs.policies import Policies
from portcall.hub.jobs.requests import Submissions
from portcall.protos.portcall.v1 import jobs_pb2

BYTES_MAX = 4
METHOD = "/test.Service/Method"
NOW = 1_750_000_000.0

plain = st.builds(jobs_pb2.Submission, method=st.just(METHOD), request=st.binary(min_size=1, max_size=BYTES_MAX))
others = st.builds(
    jobs_pb2.Submission,
    method=st.sampled_from([METHOD, "/test.Service/Other", "", "nonsense"]),
    request=st.binary(max_size=BYTES_MAX + 1),
    key=st.none() | st.just("k"),
    priority=st.integers(0, 2),
)


def reader() -> Submissions:
    """A reader that knows the method already."""
    submissions = Submissions(Policies(), BYTES_MAX)
    assert submissions.check(METHOD, 1) is None
    return submissions


@given(st.lists(plain, min_size=1))
def test_what_is_plain_is_read_in_one_go(messages: list[jobs_pb2.Submission]) -> None:
    read = reader().read_plain(messages)
    assert read is not None
    assert read.singly() == reader().read(messages, NOW)


@given(st.lists(plain | others))
def test_what_is_read_in_one_go_is_what_is_read_one_by_one(messages: list[jobs_pb2.Submission]) -> None:
    read = reader().read_plain(messages)
    if read is not None:
        assert read.singly() == reader().read(messages, NOW)


def test_a_method_is_looked_at_before_its_jobs_are_plain() -> None:
    submissions = Submissions(Policies(), BYTES_MAX)
    message = jobs_pb2.Submission(method=METHOD, request=b"q")
    assert submissions.read_plain([message]) is None
    submissions.read([message], NOW)
    assert submissions.read_plain([message]) is not None
