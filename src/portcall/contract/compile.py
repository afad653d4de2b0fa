"""Compiles `.proto` files: from paths to the text of every file that shall be in the output folder, and to the folder.

Messages and their types are protoc's own work, with the imports put right (`modules`); services are ours (`stubs`).
What comes out depends on the files, their names and the compiler's version alone: no time, no path, no disk's order.
"""

import keyword
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, MethodDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from portcall.contract.installed import InstalledProtos, installed_module, installed_protos
from portcall.contract.modules import Layout, message_module, module_path, service_module, unimportable_part
from portcall.contract.outputs import (
    INIT_TEXT,
    NO_DIFFERENCE,
    Difference,
    compare,
    header_of,
    lies_in_package,
    missing_inits,
    remove,
    write,
)
from portcall.contract.protoc import Compiled, Diagnostic, Severity, diagnose, has_errors, run_protoc
from portcall.contract.sources import Sources, find_sources
from portcall.contract.stubs import METHODS_FIELD, message_types, services_code, services_of, services_types
from portcall.errors import ConfigurationError

Judge = Callable[[MethodDescriptorProto, Descriptor], Iterable[tuple[int, str]]]
"""Says what is wrong with a method's options, given it and its request: numbers of options, and words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileRequest:
    """What to compile, and for where."""

    paths: tuple[Path, ...]
    """Folders and single files."""
    includes: tuple[Path, ...] = ()
    """Folders that imports begin at, the first one first."""
    out: Path | None = None
    """If None, beside the files."""
    has_services: bool = True
    """Whether to make stubs and servicers."""
    judge: Judge | None = None
    """Judges options that protoc knows only as messages; what it finds are errors like any others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """What came of it."""

    sources: Sources
    out: Path
    diagnostics: tuple[Diagnostic, ...]
    texts: Mapping[str, str]
    """What shall be in the output folder, by path below it. Empty if there are errors."""

    @property
    def is_failed(self) -> bool:
        """Whether there are errors."""
        return has_errors(self.diagnostics)


def compile_protos(request: CompileRequest) -> Compilation:
    """Compile.

    Raises:
        ConfigurationError: there is nothing to compile or no compiler, or it is not clear where to write.
        PortcallError: the compiler failed, not for a fault of the files.
    """
    installed = installed_protos()
    sources = find_sources(request.paths, request.includes, installed)
    out = request.out or _only_root(sources)
    compiled = run_protoc(sources, installed) if sources.names else Compiled((), (), {})
    wanted = [file for file in compiled.descriptors if file.name in set(sources.names)]
    problems = (*_problems(wanted, sources), *_bad_options(wanted, compiled, sources, request.judge))
    compilation = Compilation(sources=sources, out=out, diagnostics=(*compiled.diagnostics, *problems), texts={})
    if compilation.is_failed:
        return compilation
    layout = _layout(compiled.descriptors, sources, installed, is_package=lies_in_package(out))
    texts = dict(_texts(compiled, wanted, layout, has_services=request.has_services))
    inits = dict.fromkeys(missing_inits(out, texts), INIT_TEXT)
    return replace(compilation, texts=texts | inits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """How an output folder was before, and what was done about it."""

    compilation: Compilation
    difference: Difference
    """Nothing, if the compilation has failed."""
    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def compare_outputs(request: CompileRequest) -> Update:
    """Compile, and compare the output folder with what came of it.

    Raises:
        ConfigurationError, PortcallError: as `compile_protos`; or a file that was not generated is in the way.
    """
    compilation = compile_protos(request)
    if compilation.is_failed:
        return Update(compilation=compilation, difference=NO_DIFFERENCE)
    difference = compare(compilation.out, compilation.texts, compilation.sources.is_own)
    return Update(compilation=compilation, difference=difference)


def update_outputs(request: CompileRequest, *, is_pruning: bool = False) -> Update:
    """Compile, and write what is missing or stale; with `is_pruning`, also remove what is left over.

    An error in any file leaves everything as it is.

    Raises:
        ConfigurationError, PortcallError: as `compare_outputs`; or the disk will not have it.
    """
    update = compare_outputs(request)
    compilation, difference = update.compilation, update.difference
    write(compilation.out, compilation.texts, difference.outdated)
    removed = tuple(difference.left_over) if is_pruning else ()
    remove(compilation.out, removed)
    return replace(update, written=difference.outdated, removed=removed)


def _only_root(sources: Sources) -> Path:
    if len(sources.own_roots) > 1:
        roots = ", ".join(sorted(map(str, sources.own_roots)))
        raise ConfigurationError(
            f"the files are in several folders ({roots}); say with --out where their code shall go"
        )
    return next(iter(sources.own_roots))


def _layout(
    files: Iterable[FileDescriptorProto], sources: Sources, installed: InstalledProtos, *, is_package: bool
) -> Layout:
    """Tell our own modules from those that packages bring."""
    compiled = set(sources.names)
    own, moved = set(), {}
    for file in files:
        module = message_module(file.name)
        if file.name in compiled or (file.name not in installed.names and sources.is_own(file.name)):
            own.add(module)
        elif prefix := installed_module(file.name):
            moved[module] = prefix + ".".join(module[:-1])
    return Layout(is_package=is_package, own=frozenset(own), moved=moved)


def _texts(
    compiled: Compiled, wanted: Sequence[FileDescriptorProto], layout: Layout, *, has_services: bool
) -> Iterator[tuple[str, str]]:
    types = message_types(compiled.descriptors)
    for file in wanted:
        header = header_of(file.name)
        module = message_module(file.name)
        code, types_path = module_path(module, ".py"), module_path(module, ".pyi")
        yield code, header + layout.relocate(compiled.texts[code], module)
        yield types_path, header + LENIENCE + _readable(layout.relocate(compiled.texts[types_path], module))
        if has_services and file.service:
            services = services_of(file, types)
            grpc_module = service_module(file.name)
            yield module_path(grpc_module, ".py"), header + services_code(services, layout)
            yield module_path(grpc_module, ".pyi"), header + services_types(services, layout)


LENIENCE = "# mypy: ignore-errors\n"
"""protoc's types say what they have to, but not in a way that `mypy --strict` would let pass."""

_KEYWORD_ATTRIBUTE = re.compile(rf"^ *(?:{'|'.join(keyword.kwlist)}): .*\n", re.MULTILINE)


def _readable(types: str) -> str:
    """Leave out of protoc's types the enum values that are words of Python's own: one such line spoils the file."""
    return _KEYWORD_ATTRIBUTE.sub("", types)


# --- what a judge does not let pass ----------------------------------------------------------------------------------


def _bad_options(
    files: Iterable[FileDescriptorProto], compiled: Compiled, sources: Sources, judge: Judge | None
) -> Iterator[Diagnostic]:
    if judge is None:
        return
    pool = DescriptorPool()
    for file in compiled.descriptors:
        pool.AddSerializedFile(file.SerializeToString())
    for file in files:
        path = sources.find(file.name) or Path(file.name)
        places = {tuple(place.path): place.span for place in file.source_code_info.location}
        for at, method in _methods(file):
            request = pool.FindMessageTypeByName(method.input_type.removeprefix("."))
            for number, words in judge(method, request):
                option = (*at, MethodDescriptorProto.OPTIONS_FIELD_NUMBER, number)
                # Options that are written field by field have no place of their own, only the fields have.
                found = next((place for place in places if place[: len(option)] == option), at)
                line, column = places.get(found, (-1, -1))[:2]
                yield diagnose(Severity.ERROR, words, path, line + 1, column + 1)


def _methods(file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], MethodDescriptorProto]]:
    """Yield all methods of a file, with their places in its descriptor."""
    for index, service in enumerate(file.service):
        for method_index, method in enumerate(service.method):
            yield (FileDescriptorProto.SERVICE_FIELD_NUMBER, index, METHODS_FIELD, method_index), method


# --- what Python cannot have -----------------------------------------------------------------------------------------


def _problems(files: Iterable[FileDescriptorProto], sources: Sources) -> Iterator[Diagnostic]:
    for file in files:
        path = sources.find(file.name) or Path(file.name)
        part = unimportable_part(message_module(file.name))
        if part is not None:
            words = f"Python cannot import a module with {part!r} in its name; rename the file or the folder"
            yield Diagnostic(severity=Severity.ERROR, words=words, path=str(path))
        places = {tuple(place.path): place.span for place in file.source_code_info.location}
        for at, words in _unwritable_names(file):
            line, column = places.get(at, (-1, -1))[:2]
            yield diagnose(Severity.ERROR, words, path, line + 1, column + 1)


def _unwritable_names(file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    """Return the places of names that are words of Python's own, where generated code would have to write them."""
    name_field = DescriptorProto.NAME_FIELD_NUMBER
    for at, method in _methods(file):
        if unimportable_part((method.name,)):
            words = f"{method.name!r} is a word of Python's own, so that a stub cannot have it; rename the method"
            yield (*at, name_field), words
    for index, message in enumerate(file.message_type):
        yield from _unwritable_messages(message, (FileDescriptorProto.MESSAGE_TYPE_FIELD_NUMBER, index))


def _unwritable_messages(message: DescriptorProto, at: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], str]]:
    if unimportable_part((message.name,)):
        words = f"{message.name!r} is a word of Python's own, so that its type cannot be written; rename the message"
        yield (*at, DescriptorProto.NAME_FIELD_NUMBER), words
    for index, nested in enumerate(message.nested_type):
        yield from _unwritable_messages(nested, (*at, DescriptorProto.NESTED_TYPE_FIELD_NUMBER, index))
