"""What an environment is made for: a platform, a Python and a C library, as tags of wheels and as markers."""

from dataclasses import dataclass
from functools import cached_property

from packaging.markers import Environment, Marker
from packaging.tags import Tag, compatible_tags, cpython_tags

from portcall.image.oci import Platform

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""What Linux and wheels call the architectures of OCI."""

_LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
_GLIBC_OLDEST = {"x86_64": 5, "aarch64": 17}
_MUSL = ("musllinux_1_2", "musllinux_1_1", "musllinux_1_0")


@dataclass(frozen=True)  # no slots: what follows from the fields is kept
class Target:
    """A platform with a Python."""

    platform: Platform
    python: str
    """Its full version, as in 3.12.4."""
    glibc: tuple[int, int] | None
    """The version of its C library; None if that is musl."""

    @property
    def minor(self) -> str:
        """Return the version without its last part, as in 3.12."""
        return ".".join(self.python.split(".")[:2])

    @property
    def machine(self) -> str:
        """Return the architecture as Linux calls it."""
        return MACHINES[self.platform.architecture]

    @property
    def abi(self) -> str:
        """Return what wheels call the Python, as in cp312."""
        return "cp" + self.minor.replace(".", "")

    @cached_property
    def wheel_platforms(self) -> tuple[str, ...]:
        """Return the platforms of wheels that fit, the best first."""
        if self.glibc is None:
            return tuple(f"{name}_{self.machine}" for name in _MUSL)
        major, newest = self.glibc
        names = []
        for minor in range(newest, _GLIBC_OLDEST[self.machine] - 1, -1):
            names.append(f"manylinux_{major}_{minor}")
            names.extend([_LEGACY[major, minor]] if (major, minor) in _LEGACY else [])
        return (*(f"{name}_{self.machine}" for name in names), f"linux_{self.machine}")

    @cached_property
    def tags(self) -> tuple[Tag, ...]:
        """Return the tags of wheels that fit, the best first."""
        version = tuple(map(int, self.minor.split(".")))
        return (
            *cpython_tags(version, [self.abi], self.wheel_platforms),
            *compatible_tags(version, self.abi, self.wheel_platforms),
        )

    def holds(self, marker: Marker | None) -> bool:
        """Whether a requirement with this marker is one for this target."""
        return marker is None or marker.evaluate(dict(self.strings(), extra=""))

    def strings(self) -> dict[str, str]:
        """Return the markers as plain words."""
        return {name: str(value) for name, value in self.markers.items()}

    @cached_property
    def markers(self) -> Environment:
        """Return what the markers of requirements are about."""
        return Environment(
            implementation_name="cpython",
            implementation_version=self.python,
            os_name="posix",
            platform_machine=self.machine,
            platform_python_implementation="CPython",
            platform_release="",
            platform_system="Linux",
            platform_version="",
            python_full_version=self.python,
            python_version=self.minor,
            sys_platform="linux",
        )

    def pip_options(self) -> list[str]:
        """Return what makes pip choose wheels for this target."""
        platforms = [option for name in self.wheel_platforms for option in ("--platform", name)]
        return ["--implementation", "cp", "--python-version", self.minor, "--abi", self.abi, *platforms]
