"""What comes out of the compiler: golden files, imports that work anywhere, the same bytes everywhere."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from portcall.contract.compile import Compilation, CompileRequest, compile_protos, update_outputs
from portcall.contract.protoc import Severity
from portcall.errors import ConfigurationError

GOLDEN = Path(__file__).with_name("golden")

PROJECT = {
    "root.proto": """\
        syntax = "proto3";
        import "acme/v1/order.proto";
        import public "acme/money.proto";
        import "google/protobuf/timestamp.proto";
        service Shop { rpc Buy(acme.v1.Order) returns (google.protobuf.Timestamp); }
        message Receipt { acme.v1.Order order = 1; acme.Money paid = 2; }
        """,
    "acme/v1/order.proto": """\
        syntax = "proto3";
        package acme.v1;
        import "acme/money.proto";
        import "other/thing.proto";
        import "google/rpc/status.proto";
        import "portcall/v1/fleet.proto";
        service Orders {
          rpc Place(Order) returns (google.rpc.Status);
          rpc Fleet(Order) returns (portcall.v1.ListWorkersReply);
        }
        message Order { acme.Money price = 1; other.Thing thing = 2; portcall.v1.WorkerStatus worker = 3; }
        """,
    "acme/money.proto": 'syntax = "proto3"; package acme; message Money { int64 cents = 1; }',
    "other/thing.proto": """\
        syntax = "proto3";
        package other;
        import "plain-name.proto";
        message Thing { plain.Plain plain = 1; }
        """,
    "plain-name.proto": 'syntax = "proto3"; package plain; message Plain { string name = 1; }',
}

MODULES = ("root", "acme.v1.order", "acme.money", "other.thing", "plain_name")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(files: Mapping[str, str], folder: str = "protos") -> Path:
        for name, text in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return tmp_path / folder

    return write


def compiled(*paths: Path, out: Path, includes: tuple[Path, ...] = ()) -> Compilation:
    return compile_protos(CompileRequest(paths=paths, out=out, includes=includes))


@pytest.mark.parametrize("name", ["shelf_pb2_grpc.py", "shelf_pb2_grpc.pyi"])
def test_services_are_written_as_ever(name: str, tmp_path: Path) -> None:
    assert compiled(GOLDEN, out=tmp_path).texts[name] == (GOLDEN / name).read_text()


@pytest.mark.parametrize(
    ("out", "package", "inits"),
    [
        ("src", "", []),
        ("src/shop", "shop.", ["acme", "acme/v1", "other"]),
        ("src/shop/protos", "shop.protos.", ["", "acme", "acme/v1", "other"]),
        ("src/shop/far/away", "shop.far.away.", ["..", "", "acme", "acme/v1", "other"]),
    ],
)
def test_code_can_be_imported_wherever_it_lies(
    write: Callable[..., Path], tmp_path: Path, out: str, package: str, inits: list[str]
) -> None:
    write({"__init__.py": ""}, "src/shop")
    protos = write(PROJECT)
    update = update_outputs(CompileRequest(paths=(protos,), out=tmp_path / out))
    assert sorted(path for path in update.written if path.endswith("__init__.py")) == sorted(
        f"{folder}/__init__.py".removeprefix("/") for folder in inits
    )
    imports = "\n".join(f"import {package}{module}_pb2" for module in MODULES)
    services = "\n".join(f"import {package}{module}_pb2_grpc" for module in ("root", "acme.v1.order"))
    check = f"{imports}\n{services}\nassert {package}root_pb2.Money(cents=1).cents == 1"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", check],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert update_outputs(CompileRequest(paths=(protos,), out=tmp_path / out)).difference.is_none


def test_top_level_folder_of_a_source_root_may_be_a_package_already(write: Callable[..., Path], tmp_path: Path) -> None:
    write({"acme/__init__.py": "mine = 1"}, "src")
    update = update_outputs(CompileRequest(paths=(write(PROJECT),), out=tmp_path / "src"))
    assert [path for path in update.written if path.endswith("__init__.py")] == ["acme/v1/__init__.py"]
    assert (tmp_path / "src/acme/__init__.py").read_text() == "mine = 1"


def test_same_files_give_the_same_bytes_in_any_place_and_order(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = compiled(write(PROJECT), out=tmp_path / "out")
    there = write(dict(reversed(PROJECT.items())), "else where/a:b=c")
    monkeypatch.chdir(there)
    again = compiled(Path(), out=Path("../../../out2"))
    assert dict(again.texts) == dict(here.texts)
    one_by_one: dict[str, str] = {}
    for name in PROJECT:
        one_by_one |= compiled(Path(name), out=Path(), includes=(Path(),)).texts
    assert one_by_one == dict(here.texts)


def test_one_file_imports_what_another_run_makes(write: Callable[..., Path], tmp_path: Path) -> None:
    root = write(PROJECT)
    texts = compiled(root / "acme/v1/order.proto", includes=(root,), out=tmp_path).texts
    assert set(texts) == {f"acme/v1/order_pb2{suffix}" for suffix in (".py", ".pyi", "_grpc.py", "_grpc.pyi")}
    assert "\nfrom .. import money_pb2 as acme_dot_money__pb2\n" in texts["acme/v1/order_pb2.py"]


def test_code_of_an_include_is_somebody_elses(write: Callable[..., Path], tmp_path: Path) -> None:
    vendor = write({"other/thing.proto": 'syntax = "proto3"; package other; message Thing {}'}, "vendor")
    own = 'syntax = "proto3"; import "other/thing.proto"; message Own { other.Thing thing = 1; }'
    texts = compiled(write({"other/own.proto": own}), includes=(vendor,), out=tmp_path).texts
    assert set(texts) == {"other/own_pb2.py", "other/own_pb2.pyi"}
    assert "\nfrom other import thing_pb2 as other_dot_thing__pb2\n" in texts["other/own_pb2.py"]


def test_vendored_copy_of_an_installed_file_is_left_to_its_package(write: Callable[..., Path], tmp_path: Path) -> None:
    copy = 'syntax = "proto3"; package google.rpc; message Status { int32 code = 1; }'
    own = 'syntax = "proto3"; import "google/rpc/status.proto"; message Own { google.rpc.Status status = 1; }'
    result = compiled(write({"google/rpc/status.proto": copy, "own.proto": own}), out=tmp_path)
    assert result.sources.left_to_packages == ("google/rpc/status.proto",)
    assert set(result.texts) == {"own_pb2.py", "own_pb2.pyi"}
    assert "\nfrom google.rpc import status_pb2 as " in result.texts["own_pb2.py"]


def test_services_can_be_left_out(write: Callable[..., Path], tmp_path: Path) -> None:
    result = compile_protos(CompileRequest(paths=(write(PROJECT),), out=tmp_path, has_services=False))
    assert not [path for path in result.texts if "_grpc" in path]
    assert "root_pb2.py" in result.texts


def test_warnings_keep_nothing_back(write: Callable[..., Path], tmp_path: Path) -> None:
    root = write({"a.proto": 'syntax = "proto3";\nimport "google/protobuf/any.proto";\nmessage A {}\n'})
    result = compiled(root, out=tmp_path)
    (warning,) = result.diagnostics
    assert warning.severity is Severity.WARNING
    assert (warning.path, warning.line, warning.column) == (f"{root}/a.proto", 2, 1)
    assert warning.source == 'import "google/protobuf/any.proto";'
    assert warning.words == "Import google/protobuf/any.proto is unused."
    assert set(result.texts) == {"a_pb2.py", "a_pb2.pyi"}


ERRORS = {
    "message A { string a = 1 }": (2, 26, 'Expected ";".'),
    "message A { Nope b = 1; }": (2, 13, '"Nope" is not defined.'),
    "message 항구 {}": (2, 9, "Expected message name."),
    "message A { /* 항구 */ Nope b = 1; }": (2, 22, '"Nope" is not defined.'),
    "\t \tmessage A { \tNope b = 1; }": (2, 17, '"Nope" is not defined.'),
    'import "nowhere.proto";': (2, 1, 'Import "nowhere.proto" was not found or had errors.'),
    "message A { rpc B(A) returns (A); }": (2, 18, "Missing field number."),
    "message A {} service S { rpc import(A) returns (A); }": (
        2,
        30,
        "'import' is a word of Python's own, so that a stub cannot have it; rename the method",
    ),
    "message A { message None {} }": (
        2,
        21,
        "'None' is a word of Python's own, so that its type cannot be written; rename the message",
    ),
}


@pytest.mark.parametrize("line", ERRORS)
def test_error_names_its_place(write: Callable[..., Path], tmp_path: Path, line: str) -> None:
    root = write({"a/b.proto": f'syntax = "proto3";\n{line}\n'})
    result = compiled(root, out=tmp_path)
    found = {(each.path, each.line, each.column, each.words, each.source) for each in result.diagnostics}
    assert (f"{root}/a/b.proto", *ERRORS[line], line) in found
    assert result.is_failed
    assert not result.texts


@pytest.mark.parametrize("name", ["class/a.proto", "1st.proto", "a b.proto", "in/x/y.proto"])
def test_file_that_python_cannot_import_is_refused(write: Callable[..., Path], tmp_path: Path, name: str) -> None:
    result = compiled(write({name: 'syntax = "proto3"; message A {}'}), out=tmp_path)
    (error,) = result.diagnostics
    assert error.path.endswith(name)
    assert error.words.startswith("Python cannot import a module with ")


def test_enum_value_with_a_name_of_python_s_own_spoils_no_types(write: Callable[..., Path], tmp_path: Path) -> None:
    root = write(
        {"a.proto": 'syntax = "proto3"; enum Colour { None = 0; RED = 1; } message A { enum In { from = 0; } }'}
    )
    types = compiled(root, out=tmp_path).texts["a_pb2.pyi"]
    compile(types, "a_pb2.pyi", "exec")
    assert "RED: Colour" in types


def test_error_in_one_file_leaves_all_as_it_was(write: Callable[..., Path], tmp_path: Path) -> None:
    good = 'syntax = "proto3"; message A { string a = 1; }'
    request = CompileRequest(paths=(write({"a.proto": good, "b.proto": good.replace("A", "B")}),), out=tmp_path / "out")
    update_outputs(request)
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    write({"a.proto": good.replace("a = 1", "b = 1"), "b.proto": "nonsense"})
    assert update_outputs(request).written == ()
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_without_a_folder_given_the_code_goes_beside_the_files(write: Callable[..., Path]) -> None:
    root = write({"a.proto": 'syntax = "proto3"; message A {}'})
    update = update_outputs(CompileRequest(paths=(root,)))
    assert update.written == ("a_pb2.py", "a_pb2.pyi")
    assert (root / "a_pb2.py").is_file()


def test_with_several_roots_a_folder_has_to_be_given(write: Callable[..., Path]) -> None:
    one, two = write({"a.proto": ""}, "one"), write({"b.proto": ""}, "two")
    with pytest.raises(ConfigurationError, match=r"the files are in several folders .*/one, .*/two.; say with --out"):
        compile_protos(CompileRequest(paths=(one, two)))
