"""`portcall compile`: what it writes and says, how it fails, and that it follows changes."""

import json
import sys
from pathlib import Path

import pytest

from .processes import Processes

GREET = """\
syntax = "proto3";
package greet;
service Greeter { rpc Greet(Name) returns (Name); }
message Name { string name = 1; }
"""

FILES = ("greet_pb2.py", "greet_pb2.pyi", "greet_pb2_grpc.py", "greet_pb2_grpc.pyi")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "protos").mkdir()
    (tmp_path / "protos/greet.proto").write_text(GREET)
    return tmp_path


def lines(words: str) -> set[str]:
    return set(words.splitlines())


async def test_writes_and_says_what_is_new(processes: Processes, here: Path) -> None:
    done = await processes.run("compile", "protos/", "--out", "src", folder=here)
    assert done.code == 0
    assert done.stderr == ""
    assert lines(done.stdout) == {
        *(f"wrote src/{name}" for name in FILES),
        "1 .proto file compiled into src: 4 written, 0 unchanged",
    }
    again = await processes.run("compile", "protos/", "--out", "src", folder=here)
    assert again.stdout == "1 .proto file compiled into src: 0 written, 4 unchanged\n"
    code = "from greet_pb2_grpc import GreeterStub; print(GreeterStub[int])"
    program = await processes.spawn(sys.executable, "-c", code, PYTHONPATH=str(here / "src"))
    assert await program.wait() == 0
    assert program.stdout == "greet_pb2_grpc.GreeterStub[int]\n"


async def test_a_wrong_job_option_is_an_error_with_its_place(processes: Processes, here: Path) -> None:
    with_option = '{ option (portcall.v1.job) = { attempts: 0 by: { field: "nome" } }; }'
    text = GREET.replace("package greet;", 'package greet; import "portcall/v1/options.proto";')
    (here / "protos/greet.proto").write_text(text.replace("returns (Name);", f"returns (Name) {with_option}"))
    done = await processes.run("compile", "protos/", "--out", "src", folder=here)
    assert done.code == 2
    place = "protos/greet.proto:3:52: error:"
    assert lines(done.stderr) >= {
        f"{place} attempts is 0; it must be 1 to 1,000",
        f"{place} by.field is 'nome', but greet.Name has no field 'nome'; it has name",
    }
    assert not (here / "src").exists()


async def test_takes_settings_from_the_environment(processes: Processes, here: Path) -> None:
    settings = {"PORTCALL_COMPILE_OUT": "src", "PORTCALL_COMPILE_INCLUDE": "."}
    done = await processes.run("compile", "protos", folder=here, **settings)
    assert done.code == 0
    assert (here / "src/protos/greet_pb2.py").is_file()


async def test_check_names_all_that_is_not_up_to_date(processes: Processes, here: Path) -> None:
    command = ("compile", "protos", "--out", "src")
    (here / "protos/old.proto").write_text('syntax = "proto3";')
    await processes.run(*command, folder=here)
    done = await processes.run(*command, "--check", folder=here)
    assert (done.code, done.stdout, done.stderr) == (0, "6 files in src up to date\n", "")

    (here / "protos/old.proto").unlink()
    (here / "protos/greet.proto").write_text(GREET.replace("string", "bytes"))
    (here / "src/greet_pb2_grpc.pyi").unlink()
    before = {path: path.read_bytes() for path in (here / "src").iterdir()}
    done = await processes.run(*command, "--check", folder=here)
    assert done.code == 1
    assert lines(done.stderr) == {
        "missing: src/greet_pb2_grpc.pyi",
        "stale: src/greet_pb2.py",
        "stale: src/greet_pb2.pyi",
        "left over: src/old_pb2.py, which old.proto does not give any more",
        "left over: src/old_pb2.pyi, which old.proto does not give any more",
        "portcall: error: src has not what the .proto files give (above). Run this with --prune in place of --check",
    }
    assert {path: path.read_bytes() for path in (here / "src").iterdir()} == before

    done = await processes.run(*command, folder=here)
    assert "left over: src/old_pb2.py, made from old.proto; --prune removes it" in lines(done.stderr)
    done = await processes.run(*command, "--prune", folder=here)
    assert lines(done.stdout) == {
        "removed src/old_pb2.py",
        "removed src/old_pb2.pyi",
        "1 .proto file compiled into src: 0 written, 4 unchanged, 2 removed",
    }
    assert (await processes.run(*command, "--check", folder=here)).code == 0


async def test_error_shows_the_place_and_leaves_nothing(processes: Processes, here: Path) -> None:
    (here / "protos/bad.proto").write_text('syntax = "proto3";\nmessage Bad {\n\tNope nope = 1;\n}\n')
    done = await processes.run("compile", "protos", "--out", "src", folder=here)
    assert done.code == 2
    assert done.stdout == ""
    assert done.stderr == (
        'protos/bad.proto:3:2: error: "Nope" is not defined.\n'
        "          Nope nope = 1;\n"
        "          ^\n"
        "portcall: error: the .proto files have errors (above); nothing was written\n"
    )
    assert not (here / "src").exists()


async def test_programs_get_json(processes: Processes, here: Path) -> None:
    done = await processes.run("compile", "protos", "--json", folder=here)
    said = json.loads(done.stdout)
    assert (said["out"], said["compiled"], said["written"]) == ("protos", ["greet.proto"], sorted(FILES))
    assert said["diagnostics"] == []
    (here / "protos/greet.proto").write_text('syntax = "proto3"; nonsense')
    for mode in ((), ("--check",)):
        done = await processes.run("compile", "protos", "--json", *mode, folder=here)
        assert done.code == 2
        (problem, *_) = json.loads(done.stdout)["diagnostics"]
        assert (problem["severity"], problem["path"], problem["line"]) == ("error", "protos/greet.proto", 1)


MISTAKES = {
    "": "missing argument 'PATH...'. See: portcall compile --help",
    "nope": "invalid value for 'PATH...': Path 'nope' does not exist. See: portcall compile --help",
    "protos -I nope": "invalid value for '-I' / '--include': Path 'nope' does not exist. See: portcall compile --help",
    "notes.txt": "'notes.txt' is not a .proto file",
    "empty": "there are no .proto files in empty",
    "protos --check --watch": (
        "--check writes nothing, so it goes with neither --watch nor --prune. See: portcall compile --help"
    ),
    "protos --out notes.txt": (
        "invalid value for '--out': Directory 'notes.txt' is a file. See: portcall compile --help"
    ),
    "protos --out taken": (
        "taken/greet_pb2.py: there is a file already that was not generated, and it stays as it is. Move it away, or"
        " choose another folder with --out"
    ),
}


@pytest.mark.parametrize("command", MISTAKES)
async def test_mistake_is_one_line(processes: Processes, here: Path, command: str) -> None:
    (here / "notes.txt").touch()
    (here / "empty").mkdir()
    (here / "taken").mkdir()
    (here / "taken/greet_pb2.py").write_text("mine = 1\n")
    done = await processes.run("compile", *command.split(), folder=here)
    assert done.stderr == f"portcall: error: {MISTAKES[command]}\n"
    assert done.code == 2
    assert (here / "taken/greet_pb2.py").read_text() == "mine = 1\n"


@pytest.mark.parametrize("mode", ["", "--watch", "--check"])
async def test_without_the_compiler_it_says_what_to_install(processes: Processes, here: Path, mode: str) -> None:
    (here / "grpc_tools.py").touch()  # hides the package
    done = await processes.run("compile", "protos", *mode.split(), folder=here, PYTHONPATH=str(here))
    assert done.stderr == (
        "portcall: error: the compiler is not installed. Install it:  pip install 'portcall[compile]'"
        "  (or grpcio-tools)\n"
    )
    assert done.code == 2


@pytest.mark.parametrize("signal", ["interrupt", "terminate"])
async def test_watch_follows_changes_until_it_is_told_to_stop(processes: Processes, here: Path, signal: str) -> None:
    watching = await processes.start("compile", "protos", "--out", "src", "--watch", folder=here)
    await watching.line("4 written, 0 unchanged")
    await watching.line("watching for changes")
    (here / "protos/more.proto").write_text('syntax = "proto3"; message More {}')
    await watching.line("^changed: protos/more.proto$")
    await watching.line("^wrote src/more_pb2.py$")
    (here / "protos/more.proto").write_text('syntax = "proto3"; message More { string')
    await watching.line("^protos/more.proto:1:41: error: ")
    await watching.line("nothing was written$")
    (here / "protos/more.proto").unlink()
    await watching.line("^left over: src/more_pb2.py, made from more.proto")
    getattr(watching, signal)()
    assert await watching.wait() == 0
