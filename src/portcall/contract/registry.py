"""All that a fleet serves, or has served since the hub started: what reflection and the ingress look up."""

from collections.abc import Iterable, Iterator

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

from portcall.contract.contract import Contract, MethodKind


class ContractRegistry:
    """Methods, files and symbols by name.

    Where two contracts say different things of one name, the newer one counts; what the hub says of its own services
    counts before all of them.

    Bounded: past `contracts_max` the oldest contracts go, those that `keep` names excepted.
    """

    def __init__(self, contracts_max: int = 1_000) -> None:
        self._contracts_max = contracts_max
        self._contracts: dict[str, Contract] = {}
        self._kinds: dict[str, MethodKind] = {}
        self._files: dict[str, FileDescriptorProto] = {}
        self._symbols: dict[str, str] = {}
        self._own: tuple[FileDescriptorProto, ...] = ()

    def add_files(self, files: Iterable[FileDescriptorProto]) -> None:
        """Make files known that are the hub's own, and neither forgotten nor replaced."""
        self._own = (*self._own, *files)
        self._index_files(self._own)

    def add(self, contract: Contract, keep: Iterable[str] = ()) -> Contract:
        """Make a contract known; return the one object that stands for all equal ones."""
        known = self._contracts.pop(contract.fingerprint, contract)
        self._contracts[contract.fingerprint] = known
        if len(self._contracts) > self._contracts_max:
            self._forget(set(keep))
        self._index(known)
        self._index_files(self._own)
        return known

    def kind(self, method: str) -> MethodKind | None:
        """Return the kind of a method, given its path, or None for a method that nobody has brought."""
        return self._kinds.get(method)

    @property
    def methods_count(self) -> int:
        """Return how many methods are known."""
        return len(self._kinds)

    @property
    def services(self) -> list[str]:
        """Return the names of all services, sorted."""
        return sorted({name for contract in self._contracts.values() for name in contract.services})

    def file(self, name: str) -> FileDescriptorProto | None:
        """Return a file by its name."""
        return self._files.get(name)

    def file_of_symbol(self, symbol: str) -> FileDescriptorProto | None:
        """Return the file that declares a service, method, message, enum or field, by full name."""
        name = self._symbols.get(symbol)
        if name is None and "." in symbol:
            # A method, field or enum value is declared where its parent is.
            name = self._symbols.get(symbol.rpartition(".")[0])
        return self._files.get(name) if name is not None else None

    def with_dependencies(self, file: FileDescriptorProto) -> list[FileDescriptorProto]:
        """Return a file and all that it needs, each once, itself first."""
        found = {file.name: file}
        waiting = [file]
        while waiting:
            for name in waiting.pop().dependency:
                dependency = self._files.get(name)
                if dependency is not None and name not in found:
                    found[name] = dependency
                    waiting.append(dependency)
        return list(found.values())

    def _index(self, contract: Contract) -> None:
        self._kinds.update(contract.kinds)
        self._index_files(contract.files)

    def _index_files(self, files: Iterable[FileDescriptorProto]) -> None:
        for file in files:
            self._files[file.name] = file
            for symbol in _symbols(file):
                self._symbols[symbol] = file.name

    def _forget(self, keep: set[str]) -> None:
        contracts = list(self._contracts.values())
        excess = len(contracts) - self._contracts_max
        old = [contract.fingerprint for contract in contracts[:-1] if contract.fingerprint not in keep][:excess]
        self._contracts = {name: contract for name, contract in self._contracts.items() if name not in set(old)}
        self._kinds, self._files, self._symbols = {}, {}, {}
        for contract in self._contracts.values():
            self._index(contract)


def _symbols(file: FileDescriptorProto) -> Iterator[str]:
    prefix = f"{file.package}." if file.package else ""
    for service in file.service:
        yield prefix + service.name
    for enum in file.enum_type:
        yield prefix + enum.name
    for message in file.message_type:
        yield from _message_symbols(prefix, message)


def _message_symbols(prefix: str, message: DescriptorProto) -> Iterator[str]:
    name = prefix + message.name
    yield name
    for enum in message.enum_type:
        yield f"{name}.{enum.name}"
    for nested in message.nested_type:
        yield from _message_symbols(f"{name}.", nested)
