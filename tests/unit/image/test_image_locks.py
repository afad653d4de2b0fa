"""Locks: what a target gets, and what no lock may lack."""

from pathlib import Path

import pytest

from portcall.errors import ConfigurationError
from portcall.image.locks import Pin, find_lock, read_lock
from portcall.image.oci import AMD64, ARM64, Platform
from portcall.image.targets import Target

A, B = "a" * 64, "b" * 64


def target(platform: Platform = AMD64, python: str = "3.12.4", glibc: tuple[int, int] | None = (2, 36)) -> Target:
    return Target(platform=platform, python=python, glibc=glibc)


REQUIREMENTS = f"""
# made by a tool
--index-url https://pypi.example/simple
grpcio==1.85.1 \\
    --hash=sha256:{B} \\
    --hash=sha256:{A}
    # via portcall
Typing_Extensions==4.16.0 ; python_version < "3.13" --hash=sha256:{A}
pywin32==306 ; sys_platform == "win32" --hash=sha256:{A}
-e .
"""


def test_requirements_are_read_for_a_target() -> None:
    lock = read_lock(Path("requirements.txt"), REQUIREMENTS)
    assert lock.select(target()) == [
        Pin(name="grpcio", version="1.85.1", sha256=(A, B)),
        Pin(name="typing-extensions", version="4.16.0", sha256=(A,)),
    ]
    assert [pin.name for pin in lock.select(target(python="3.13.0"))] == ["grpcio"]
    assert lock.index_options == ("--index-url", "https://pypi.example/simple")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("grpcio==1.0", "has no --hash=sha256"),
        (f"grpcio>=1.0 --hash=sha256:{A}", "does not pin grpcio"),
        (f"grpcio==1.* --hash=sha256:{A}", "does not pin grpcio"),
        (f"x @ https://a.example/x-1.tar.gz --hash=sha256:{A}", "does not pin x"),
        ("x @ https://a.example/x-1-py3-none-any.whl", "has no --hash=sha256"),
        (f"x @ https://a.example/x.whl --hash=sha256:{A}", "is no wheel"),
        ("-r other.txt", "put every package into the one file"),
        ("what is this?", "no requirement"),
    ],
)
def test_requirements_that_do_not_fix_their_files_are_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_lock(Path("requirements.txt"), text).select(target())


def test_requirements_may_name_wheels_by_where_they_are() -> None:
    text = f"""
x @ https://a.example/x-1.0-py3-none-any.whl --hash=sha256:{A}
y @ file:///wheels/y-2.0-py3-none-any.whl ; python_version > "3" --hash=sha256:{A}
./wheels/z-3.0-py3-none-any.whl --hash=sha256:{B}
"""
    x, y, z = read_lock(Path("lock/requirements.txt"), text).select(target())
    assert (x.name, x.version, x.url) == ("x", "1.0", "https://a.example/x-1.0-py3-none-any.whl")
    assert x.requirement == f"x @ https://a.example/x-1.0-py3-none-any.whl --hash=sha256:{A}"
    assert (y.version, y.path) == ("2.0", Path("/wheels/y-2.0-py3-none-any.whl"))
    assert (z.version, z.path, z.sha256) == ("3.0", Path("lock/wheels/z-3.0-py3-none-any.whl"), (B,))


PYLOCK = f"""
lock-version = "1.0"
created-by = "test"

[[packages]]
name = "app"
directory = {{ path = ".", editable = true }}

[[packages]]
name = "grpcio"
version = "1.85.1"

[[packages.wheels]]
name = "grpcio-1.85.1-cp312-cp312-manylinux_2_17_aarch64.whl"
url = "https://x.example/1"
hashes = {{ sha256 = "{A}" }}

[[packages.wheels]]
name = "grpcio-1.85.1-cp312-cp312-manylinux_2_17_x86_64.whl"
url = "https://x.example/2"
hashes = {{ sha256 = "{B}" }}

[[packages.wheels]]
name = "grpcio-1.85.1-cp312-cp312-manylinux_2_40_x86_64.whl"
url = "https://x.example/3"
hashes = {{ sha256 = "{A}" }}

[[packages]]
name = "old"
version = "1.0"
marker = "python_version < '3.12'"
wheels = [{{ name = "old-1.0-py3-none-any.whl", url = "https://x.example/4", hashes = {{ sha256 = "{A}" }} }}]
"""


def test_a_pylock_gives_each_target_its_own_wheel() -> None:
    lock = read_lock(Path("pylock.toml"), PYLOCK)
    (amd,), (arm,) = lock.select(target()), lock.select(target(ARM64))
    assert (amd.wheel, amd.sha256) == ("grpcio-1.85.1-cp312-cp312-manylinux_2_17_x86_64.whl", (B,))
    assert (arm.wheel, arm.sha256) == ("grpcio-1.85.1-cp312-cp312-manylinux_2_17_aarch64.whl", (A,))
    assert lock.select(target(glibc=(2, 41)))[0].wheel.endswith("manylinux_2_40_x86_64.whl")


@pytest.mark.parametrize("unfit", [target(python="3.13.0"), target(glibc=None), target(glibc=(2, 12))])
def test_a_package_without_a_wheel_is_named_with_those_that_there_are(unfit: Target) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_lock(Path("pylock.toml"), PYLOCK).select(unfit)
    words = str(raised.value)
    assert f"grpcio 1.85.1 has no wheel for linux/amd64, Python {unfit.minor}" in words
    assert "grpcio-1.85.1-cp312-cp312-manylinux_2_17_aarch64.whl" in words


def test_a_package_that_comes_as_source_only_is_named() -> None:
    text = f"""
lock-version = "1.0"
created-by = "test"
[[packages]]
name = "src"
version = "2.0"
sdist = {{ name = "src-2.0.tar.gz", url = "https://x.example/s", hashes = {{ sha256 = "{A}" }} }}
"""
    with pytest.raises(ConfigurationError, match=r"src 2\.0 has no wheel .*it has no wheels at all"):
        read_lock(Path("pylock.toml"), text).select(target())


def _pylock_of(package: str) -> str:
    return f'lock-version = "1.0"\ncreated-by = "test"\n[[packages]]\n{package}\n'


def test_a_wheel_comes_from_where_the_lock_says_unless_that_is_where_pip_looks() -> None:
    wheel = f'{{ url = "https://i.example/x-1-py3-none-any.whl", hashes = {{ sha256 = "{A}" }} }}'
    for index, url in (
        ('index = "https://pypi.org/simple"', ""),
        ("", ""),
        ('index = "https://i.example/simple"', "https://i.example/x-1-py3-none-any.whl"),
    ):
        text = _pylock_of(f'name = "x"\nversion = "1"\n{index}\nwheels = [{wheel}]')
        assert read_lock(Path("pylock.toml"), text).select(target())[0].url == url


def test_a_wheel_may_be_locked_as_an_archive() -> None:
    text = _pylock_of(f'name = "x"\narchive = {{ path = "x-1-py3-none-any.whl", hashes = {{ sha256 = "{A}" }} }}')
    (pin,) = read_lock(Path("lock/pylock.toml"), text).select(target())
    assert (pin.version, pin.path, pin.sha256) == ("1", Path("lock/x-1-py3-none-any.whl"), (A,))


def test_a_folder_beside_the_project_is_no_wheel() -> None:
    text = _pylock_of('name = "lib"\ndirectory = { path = "lib", editable = true }')
    with pytest.raises(ConfigurationError, match=r"lib is the folder lib, .* uv build --wheel lib"):
        read_lock(Path("pylock.toml"), text).select(target())


@pytest.mark.parametrize("text", ["", "lock-version = '9'", "not toml", "lock-version = '1.0'"])
def test_a_broken_pylock_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="no lock by PEP 751"):
        read_lock(Path("pylock.toml"), text)


def test_no_lock_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Make one"):
        find_lock(tmp_path)
    with pytest.raises(ConfigurationError, match=r"no lock .*mine\.txt"):
        find_lock(tmp_path, tmp_path / "mine.txt")


@pytest.mark.parametrize("name", ["poetry.lock", "pdm.lock", "Pipfile.lock"])
def test_a_lock_of_another_tool_says_how_to_export_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ConfigurationError, match=rf"has a {name}.*requirements\.txt"):
        find_lock(tmp_path)
