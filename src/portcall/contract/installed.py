"""The `.proto` files that come with installed packages: anybody may import them, and nobody has to compile them."""

import importlib.metadata
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from portcall.errors import ConfigurationError

OUR_PREFIX = "portcall/"


@dataclass(frozen=True, slots=True)
class InstalledProtos:
    """What `google/protobuf`, `google/rpc` and its kin, and `portcall/v1` bring."""

    names: frozenset[str]
    """Every file, as it is imported."""

    folders: Mapping[str, Path]
    """Where to look for the files whose name begins with this folder; "" for any file."""


@cache
def installed_protos() -> InstalledProtos:
    """Find them.

    Raises:
        ConfigurationError: the compiler, which has some of them, is not installed.
    """
    tools = importlib.util.find_spec("grpc_tools")
    if tools is None or not tools.submodule_search_locations:
        raise ConfigurationError(
            "the compiler is not installed. Install it:  pip install 'portcall[compile]'  (or grpcio-tools)"
        )
    well_known = Path(tools.submodule_search_locations[0]) / "_proto"
    ours = Path(__file__).parents[1] / "protos"
    common = importlib.metadata.distribution("googleapis-common-protos")
    common_names = {path.as_posix() for path in common.files or () if path.suffix == ".proto"}
    names = common_names | {
        path.relative_to(folder).as_posix() for folder in (well_known, ours) for path in folder.rglob("*.proto")
    }
    google = Path(str(common.locate_file("google")))
    return InstalledProtos(frozenset(names), {"portcall": ours / "portcall", "google": google, "": well_known})


def installed_module(name: str) -> str:
    """Return the folder, as a package with a dot at its end, that an installed file's module is below."""
    return "portcall.protos." if name.startswith(OUR_PREFIX) else ""
