"""The job options of methods, out of the contracts that workers bring.

Nothing here is trusted. A method whose options cannot be is called as ever, but new jobs of it are refused, in words,
until a worker brings options that can; jobs that are stored go on by the options that they were submitted with. To
refuse the whole worker would take away calls that have nothing to do with jobs.
"""

import logging
from collections.abc import Callable, Iterator

from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto, MethodDescriptorProto
from google.protobuf.message import DecodeError

from portcall.contract.contract import Contract
from portcall.contract.descriptors import shown
from portcall.core.jobs.policy import PolicyError, options_of, parse_policy
from portcall.core.jobs.values import value_reader
from portcall.protos.portcall.v1.options_pb2 import JobOptions

logger = logging.getLogger("portcall.hub")

ReadValue = Callable[[bytes], str]


class Policies:
    """What contracts say of jobs, and which methods cannot be jobs."""

    def __init__(self) -> None:
        self._faults: dict[str, str] = {}
        self._last = ""
        """Fingerprint of the contract that was read last, and need not be read again."""
        self.version = 0
        """Rises with each contract that is read."""

    def fault(self, method: str) -> str:
        """Return why there can be no new jobs of a method, in words; empty if there can."""
        return self._faults.get(method, "")

    def read(self, contract: Contract, worker: str) -> Iterator[tuple[str, JobOptions, ReadValue | None]]:
        """Yield the options of each method of a contract that can have jobs; remember what is wrong with the others."""
        if self._last == contract.fingerprint:
            return
        self._last = contract.fingerprint
        self.version += 1
        pool: descriptor_pool.DescriptorPool | None = None
        declared = dict(_methods(contract.files))
        for path, kind in contract.kinds.items():
            self._faults.pop(path, None)
            if kind.client_streaming:
                self._faults[path] = f"{path} takes a stream of requests; only methods that take one can be jobs"
                continue
            method = declared.get(path)
            try:
                options = JobOptions() if method is None else _checked(method)
                read_value = None
                if method is not None and options.by.field:
                    pool = pool or _pool(contract.files)
                    request = pool.FindMessageTypeByName(method.input_type.removeprefix("."))
                    read_value = value_reader(request, options.by.field)
            except PolicyError as error:
                self._faults[path] = f"the job options of {path} cannot be used: {error}"
            except (TypeError, KeyError, ValueError) as error:
                self._faults[path] = f"the descriptors of {path} are not sound: {shown(str(error))}"
            else:
                yield path, options, read_value
            if path in self._faults:
                logger.warning("%s: %s. Calls of it go on; new jobs are refused", worker, self._faults[path])


def _checked(method: MethodDescriptorProto) -> JobOptions:
    try:
        options = options_of(method)
    except DecodeError:
        raise PolicyError("they are no portcall.v1.JobOptions") from None
    parse_policy(options)
    return options


def _methods(files: tuple[FileDescriptorProto, ...]) -> Iterator[tuple[str, MethodDescriptorProto]]:
    for file in files:
        prefix = f"{file.package}." if file.package else ""
        for service in file.service:
            for method in service.method:
                yield f"/{prefix}{service.name}/{method.name}", method


def _pool(files: tuple[FileDescriptorProto, ...]) -> descriptor_pool.DescriptorPool:
    """Return a pool of these files alone; protobuf's default pool belongs to the code of this process."""
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.AddSerializedFile(file.SerializeToString())
    return pool
