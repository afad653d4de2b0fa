"""What is wrong with the job options of a method, as its contract is written."""

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import MethodDescriptorProto

from portcall.core.jobs.policy import PolicyError, options_of, parse_policy
from portcall.core.jobs.values import value_reader
from portcall.protos.portcall.v1 import options_pb2

JOB_OPTION: int = options_pb2.job.number


def option_faults(method: MethodDescriptorProto, request: Descriptor) -> Iterator[tuple[int, str]]:
    """Yield what is wrong with a method's options, each with the option's number; nothing if it has none.

    `request` is the method's request, to look for the field in that `by` names.
    """
    options = options_of(method)
    if not options.ByteSize() and JOB_OPTION not in _numbers(method):
        return
    if method.client_streaming:
        yield JOB_OPTION, f"{method.name} takes a stream of requests; only methods that take one request can be jobs"
    try:
        parse_policy(options)
    except PolicyError as error:
        yield JOB_OPTION, str(error)
    if options.by.field:
        try:
            value_reader(request, options.by.field)
        except PolicyError as error:
            yield JOB_OPTION, str(error)


def _numbers(method: MethodDescriptorProto) -> set[int]:
    return {field.number for field, _ in method.options.ListFields()}
