"""A wheel becomes what an installer would make of it."""

import csv
import io
import zipfile
from pathlib import Path

import pytest

from portcall.image.errors import ImageError
from portcall.image.layers import Entry, Text
from portcall.image.wheels import Places, installed_files, read_wheel

PLACES = Places(
    packages="opt/venv/lib/python3.12/site-packages",
    scripts="opt/venv/bin",
    prefix="opt/venv",
    headers="opt/venv/include/site/python3.12",
    python="/opt/venv/bin/python",
)
METADATA = "Metadata-Version: 2.4\nName: Some.Thing\nVersion: 1.0\nRequires-Dist: click>=8; python_version>'3'\n"


def make(folder: Path, files: dict[str, str], *, executable: str = "") -> Path:
    path = folder / "some_thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, text in {"some_thing-1.0.dist-info/METADATA": METADATA, **files}.items():
            place = zipfile.ZipInfo(name)
            place.external_attr = (0o755 if name == executable else 0o644) << 16
            wheel.writestr(place, text, zipfile.ZIP_DEFLATED)
    return path


def text_of(entry: Entry) -> str:
    assert isinstance(entry.content, Text)
    return entry.content.content.decode()


def test_everything_goes_to_its_place(tmp_path: Path) -> None:
    path = make(
        tmp_path,
        {
            "some/thing.py": "x = 1",
            "some/tool": "#!/bin/sh",
            "some_thing-1.0.data/scripts/run": "#!python\nprint(1)\n",
            "some_thing-1.0.data/data/share/a.txt": "a",
            "some_thing-1.0.data/platlib/native.so": "elf",
            "some_thing-1.0.data/headers/a.h": "h",
            "some_thing-1.0.dist-info/entry_points.txt": "[console_scripts]\nthing = some.thing:main.run\n",
            "some_thing-1.0.dist-info/RECORD": "some/thing.py,sha256=abc,5\n",
        },
        executable="some/tool",
    )
    files = installed_files(read_wheel(path, "0"), PLACES)
    packages = PLACES.packages
    assert set(files) == {
        f"{packages}/some/thing.py",
        f"{packages}/some/tool",
        f"{packages}/native.so",
        "opt/venv/bin/run",
        "opt/venv/bin/thing",
        "opt/venv/share/a.txt",
        "opt/venv/include/site/python3.12/some_thing/a.h",
        *(
            f"{packages}/some_thing-1.0.dist-info/{name}"
            for name in ("METADATA", "entry_points.txt", "INSTALLER", "RECORD")
        ),
    }
    assert text_of(files["opt/venv/bin/run"]) == "#!/opt/venv/bin/python\nprint(1)\n"
    assert "from some.thing import main\n" in text_of(files["opt/venv/bin/thing"])
    assert "sys.exit(main.run())" in text_of(files["opt/venv/bin/thing"])
    assert [files[f"{packages}/some/{name}"].mode for name in ("thing.py", "tool")] == [0o644, 0o755]
    assert files["opt/venv/bin/thing"].mode == files["opt/venv/bin/run"].mode == 0o755
    record = list(csv.reader(io.StringIO(text_of(files[f"{packages}/some_thing-1.0.dist-info/RECORD"]))))
    assert ["some/thing.py", "sha256=abc", "5"] in record
    assert next(row for row in record if row[0] == "../../../bin/thing")[1].startswith("sha256=")
    assert len(record) == len(files)


def test_what_it_says_of_itself_is_read(tmp_path: Path) -> None:
    wheel = read_wheel(make(tmp_path, {}), "0")
    assert (wheel.name, wheel.version, [one.name for one in wheel.requires]) == ("some-thing", "1.0", ["click"])


@pytest.mark.parametrize("name", ["../evil.py", "/etc/passwd", "a/../../evil", "a\\b.py", "some_thing-1.0.data/odd/x"])
def test_a_file_that_has_no_place_is_refused(tmp_path: Path, name: str) -> None:
    path = make(tmp_path, {name: "x"})
    with pytest.raises(ImageError, match=r"which would lie outside|of a kind that no wheel"):
        installed_files(read_wheel(path, "0"), PLACES)


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a-1-py3-none-any.whl"
    path.write_bytes(b"no zip")
    with pytest.raises(ImageError, match="is no wheel"):
        read_wheel(path, "0")
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("a.py", "")
    with pytest.raises(ImageError, match=r"should have one \.dist-info"):
        read_wheel(path, "0")
