"""What the hub makes of the job options in the contracts that workers bring."""

from google.protobuf.descriptor_pb2 import FileDescriptorProto, MethodOptions

from portcall.contract.contract import Contract, MethodKind
from portcall.hub.jobs.policies import Policies
from portcall.protos.portcall.v1 import options_pb2

PATH = "/site.Crawler/Crawl"


def contract(
    options: options_pb2.JobOptions | None = None, *, client_streaming: bool = False, raw: bytes = b"", name: str = "a"
) -> Contract:
    """The contract of one method, with these job options."""
    file = FileDescriptorProto(name="site.proto", package="site", syntax="proto3")
    request = file.message_type.add(name="Request")
    request.field.add(name="site", number=1, type=9, label=1)
    method = file.service.add(name="Crawler").method.add(
        name="Crawl", input_type=".site.Request", output_type=".site.Request"
    )
    if options is not None:
        method.options.Extensions[options_pb2.job].CopyFrom(options)
    if raw:
        method.options.MergeFrom(MethodOptions.FromString(raw))
    kind = MethodKind(client_streaming=client_streaming, server_streaming=False)
    return Contract({PATH: kind}, ("site.Crawler",), (file,), name)


def test_options_and_the_reader_of_their_field_come_from_the_descriptors() -> None:
    policies = Policies()
    options = options_pb2.JobOptions(attempts=7, by=options_pb2.By(field="site"))
    [(path, read, reader)] = policies.read(contract(options), "w")
    assert (path, read.attempts, policies.fault(PATH)) == (PATH, 7, "")
    assert reader is not None
    assert reader(b"\x0a\x03abc") == "abc"


def test_a_method_without_descriptors_or_options_has_the_defaults() -> None:
    [(path, read, reader)] = Policies().read(contract(), "w")
    assert (path, read, reader) == (PATH, options_pb2.JobOptions(), None)
    bare = Contract({PATH: MethodKind(client_streaming=False, server_streaming=True)}, ("site.Crawler",), (), "b")
    assert [path for path, _, _ in Policies().read(bare, "w")] == [PATH]


def test_wrong_options_refuse_the_jobs_of_their_method_until_better_ones_come() -> None:
    policies = Policies()
    assert [*policies.read(contract(options_pb2.JobOptions(attempts=0)), "w")] == []
    assert policies.fault(PATH) == f"the job options of {PATH} cannot be used: attempts is 0; it must be 1 to 1,000"
    assert len([*policies.read(contract(name="b"), "w")]) == 1
    assert policies.fault(PATH) == ""


def test_a_field_to_go_by_that_is_not_there_is_named() -> None:
    policies = Policies()
    assert [*policies.read(contract(options_pb2.JobOptions(by=options_pb2.By(field="host"))), "w")] == []
    assert "site.Request has no field 'host'; it has site" in policies.fault(PATH)


def test_options_of_a_newer_portcall_are_told_as_such() -> None:
    policies = Policies()
    # Field 99 of the option, a number.
    job = b"\x98\x06\x01"
    raw = b"\xe2\xc2\x22" + bytes([len(job)]) + job
    assert MethodOptions.FromString(raw).Extensions[options_pb2.job] is not None
    [*policies.read(contract(raw=raw), "w")]
    assert "fields that this version of Portcall does not know" in policies.fault(PATH)


def test_a_stream_of_requests_cannot_be_a_job() -> None:
    policies = Policies()
    assert [*policies.read(contract(client_streaming=True), "w")] == []
    assert "takes a stream of requests" in policies.fault(PATH)


def test_descriptors_that_do_not_fit_together_are_no_reason_to_fall() -> None:
    policies = Policies()
    broken = contract(options_pb2.JobOptions(by=options_pb2.By(field="site")))
    broken.files[0].message_type[0].field[0].type_name = ".site.Missing"
    broken.files[0].message_type[0].field[0].type = 11
    assert [*policies.read(broken, "w")] == []
    assert "are not sound" in policies.fault(PATH)
