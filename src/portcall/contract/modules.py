"""Where the code of a `.proto` goes, and how one generated module imports another.

protoc writes imports for a source root: `from acme.v1 import types_pb2`. Where the output lies inside a package no such
import works, so the imports between modules of one output are made relative. At the top of a source root they cannot
be: a module there has no package, so it imports its neighbours by name, and folders beside each other too.
"""

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass

Module = tuple[str, ...]
"""A module below the output folder, as the parts of its name."""

MESSAGES = "_pb2"
SERVICES = "_pb2_grpc"


def message_module(name: str) -> Module:
    """Return the module that protoc puts the messages of a file into, by its rules."""
    return tuple(f"{name.removesuffix('.proto').replace('-', '_').replace('/', '.')}{MESSAGES}".split("."))


def service_module(name: str) -> Module:
    """Return the module of a file's services."""
    *folders, last = message_module(name)
    return (*folders, last.removesuffix(MESSAGES) + SERVICES)


def module_path(module: Module, suffix: str) -> str:
    """Return a module's file below the output folder."""
    return f"{'/'.join(module)}{suffix}"


def unimportable_part(module: Module) -> str | None:
    """Return the part of a module's name that an import statement cannot have, if there is one."""
    return next((part for part in module if keyword.iskeyword(part) or not part.isidentifier()), None)


def alias(module: Module) -> str:
    """Return the name that generated code has for a module, as protoc makes it: acme_dot_v1_dot_types__pb2."""
    return "_dot_".join(part.replace("_", "__") for part in module)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the modules of one output see each other."""

    is_package: bool
    """Whether the output folder lies inside a package, and is none of the places that imports begin at."""

    own: frozenset[Module]
    """The modules of this output, those that another run makes included."""

    moved: Mapping[Module, str]
    """The packages of installed modules that are not where protoc would have them."""

    def package(self, module: Module, importer: Module) -> str:
        """Return the package from which one module imports another; empty for one at the top of a source root."""
        if module in self.moved:
            return self.moved[module]
        target, here = module[:-1], importer[:-1]
        shared = 0
        while shared < min(len(target), len(here)) and target[shared] == here[shared]:
            shared += 1
        if module not in self.own or not (shared or self.is_package):
            return ".".join(target)
        return "." * (len(here) - shared + 1) + ".".join(target[shared:])

    def import_line(self, module: Module, importer: Module, name: str) -> str:
        """Return the statement by which one module imports another under a name."""
        package = self.package(module, importer)
        renamed = "" if name == module[-1] else f" as {name}"
        return f"{f'from {package} ' if package else ''}import {module[-1]}{renamed}"

    def relocate(self, text: str, importer: Module) -> str:
        """Return protoc's code with its imports of generated modules as they have to be in this output."""

        def whole(match: re.Match[str]) -> str:
            package = tuple(match["package"].split(".")) if match["package"] else ()
            return self.import_line((*package, match["module"]), importer, match["name"])

        def public(match: re.Match[str]) -> str:
            module = tuple(match["module"].split("."))
            package = self.package(module, importer)
            dot = "" if not package or package.endswith(".") else "."
            return f"from {package}{dot}{module[-1]} import {match['names']}"

        return _PUBLIC.sub(public, _WHOLE.sub(whole, text))


_WHOLE = re.compile(r"^(?:from (?P<package>[\w.]+) )?import (?P<module>\w+_pb2) as (?P<name>\w+)$", re.MULTILINE)
_PUBLIC = re.compile(r"^from (?P<module>[\w.]+_pb2) import (?P<names>.+)$", re.MULTILINE)
