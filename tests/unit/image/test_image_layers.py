"""A layer: the same bytes for the same files, and what is wrong with a wheel is noticed."""

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from portcall.image.errors import ImageError
from portcall.image.layers import MTIME, Copied, Entry, Layer, Packed, Text, write_layer

TREE = {
    "opt/b": Entry(content=Text(b"b"), mode=0o755),
    "opt/a": Entry(content=Text(b"")),
    "opt/link": Entry(target="b"),
    "data": Entry(mode=0o700, owner=65_532),
    "opt/\u00e4/" + "x" * 120: Entry(content=Text(b"long")),
}


def layer_of(tree: dict[str, Entry]) -> tuple[Layer, bytes]:
    out = io.BytesIO()
    return write_layer(tree, out), out.getvalue()


def members_of(content: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content)) as file:
        return file.getmembers()


def test_a_layer_holds_its_files_in_order_with_fixed_times_and_owners() -> None:
    members = members_of(layer_of(TREE)[1])
    assert [member.name for member in members] == sorted([*TREE, "opt", "opt/\u00e4"])
    assert {member.mtime for member in members} == {MTIME}
    by_name = {member.name: member for member in members}
    assert (by_name["opt"].mode, by_name["opt/a"].mode, by_name["opt/b"].mode) == (0o755, 0o644, 0o755)
    assert by_name["opt/link"].linkname == "b"
    assert (by_name["data"].uid, by_name["data"].mode, by_name["opt/a"].uid) == (65_532, 0o700, 0)


def test_the_bytes_are_those_of_every_machine() -> None:
    layer, _ = layer_of(TREE)
    assert layer.digest == "sha256:b73e61a0f63f5252e61b4e1dc32c896cbf7db6508ba76dd8c4a352ac6a7fbdbc"


def test_the_order_of_the_tree_does_not_matter() -> None:
    assert layer_of(dict(reversed(TREE.items()))) == layer_of(TREE)


def test_digest_and_diff_id_are_those_of_what_was_written() -> None:
    import hashlib  # noqa: PLC0415  # what the digest is held against

    layer, content = layer_of(TREE)
    assert layer.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert layer.diff_id == f"sha256:{hashlib.sha256(gzip.decompress(content)).hexdigest()}"
    assert (layer.size, layer.unpacked_size) == (len(content), len(gzip.decompress(content)))


def wheel(folder: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    path = folder / "one.whl"
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("one.py", b"print(1)\n" * 50_000)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2])
def test_files_of_wheels_are_taken_over(tmp_path: Path, method: int) -> None:
    packed = Packed(wheel=wheel(tmp_path, method), name="one.py", size=450_000)
    layer, content = layer_of({"one.py": Entry(content=packed)})
    with tarfile.open(fileobj=io.BytesIO(content)) as file:
        reader = file.extractfile("one.py")
        assert reader is not None
        assert reader.read() == b"print(1)\n" * 50_000
    assert (layer.size < 50_000) is (method == zipfile.ZIP_DEFLATED)


def test_a_damaged_wheel_is_noticed(tmp_path: Path) -> None:
    path = wheel(tmp_path)
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"one\.whl is damaged at one\.py"):
        layer_of({"one.py": Entry(content=Packed(wheel=path, name="one.py", size=450_000))})


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"longer than it was")
    with pytest.raises(ImageError, match="has changed while it was read"):
        layer_of({"a": Entry(content=Copied(path=path, size=3))})


def test_a_file_of_the_disk_has_the_mode_that_the_entry_says(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    os.chmod(path, 0o600)  # noqa: PTH101
    entry = Entry(content=Copied(path=path, size=3))
    before = layer_of({"a": entry})
    os.chmod(path, 0o666)  # noqa: PTH101
    assert layer_of({"a": entry}) == before
