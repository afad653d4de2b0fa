"""`portcall call` as scripts and people use it: pipes, exit codes, Ctrl-C, servers that are no hubs."""

import asyncio
import json
import os
import pty
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_reflection.v1alpha import reflection

from portcall.contract.catalog import Catalog
from portcall.protos.portcall.v1.fleet_pb2 import ListWorkersReply, ListWorkersRequest

from .processes import HubProcess, Processes, portcall

sys.path.insert(0, str(Path(__file__).parents[1] / "protos"))

import harbour_pb2
import harbour_pb2_grpc
from harbour_port import Port

CRATE = '{"label": "tea", "weightKg": 5}'


@pytest.fixture
async def hub(processes: Processes) -> HubProcess:
    """A hub with the harbour's worker."""
    started = await processes.hub()
    await processes.worker("harbour", started)
    return started


@pytest.fixture
async def plain() -> AsyncIterator[str]:
    """The address of a gRPC server that is no hub and has no reflection."""
    server = grpc.aio.server()
    harbour_pb2_grpc.add_PortServicer_to_server(Port(), server)  # type: ignore[no-untyped-call]
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield address
    await server.stop(None)


@pytest.fixture
def protoset(tmp_path: Path) -> Path:
    """The harbour's descriptors, with all that they need."""
    catalog = Catalog()
    catalog.add_installed(catalog.add([FileDescriptorProto.FromString(harbour_pb2.DESCRIPTOR.serialized_pb)]))
    catalog.add(())
    path = tmp_path / "harbour.bin"
    path.write_bytes(FileDescriptorSet(file=catalog.files).SerializeToString())
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


async def test_request_is_an_argument_a_file_or_what_is_piped_in(
    processes: Processes, hub: HubProcess, tmp_path: Path
) -> None:
    (tmp_path / "request.json").write_text('{\n  "note": "x"\n}\n')
    for argument in ('{"note": "x"}', "@request.json"):
        done = await processes.run("call", "harbour.Port/Inspect", argument, "--hub", hub.address, folder=tmp_path)
        assert (done.code, done.stdout, done.stderr) == (0, '{"note":"x"}\n', "")
    for arguments in (("-",), ("@-",), ()):
        call = await processes.start("call", "harbour.Port/Inspect", *arguments, PORTCALL_HUB=hub.address)
        call.write('{"note": "x"}')
        call.close_stdin()
        assert await call.wait() == 0
        assert call.stdout == '{"note":"x"}\n'


async def test_nothing_is_an_empty_request(processes: Processes, hub: HubProcess) -> None:
    call = await processes.start("call", "harbour.Port/Inspect", "--emit-defaults", PORTCALL_HUB=hub.address)
    call.close_stdin()
    assert await call.wait() == 0
    assert json.loads(call.stdout)["int64Value"] == "0"


async def test_streams_are_lines(processes: Processes, hub: HubProcess) -> None:
    watched = await processes.run("call", "harbour.Port/Watch", '{"count": 3}', PORTCALL_HUB=hub.address)
    assert watched.stdout == '{"number":"1"}\n{"number":"2"}\n{"number":"3"}\n'
    loaded = await processes.run("call", "harbour.Port/Load", CRATE * 3, PORTCALL_HUB=hub.address)
    assert loaded.stdout == '{"crates":"3","weightKg":"15"}\n'


async def test_reply_is_printed_while_requests_still_come(processes: Processes, hub: HubProcess) -> None:
    call = await processes.start("call", "harbour.Port/Weigh", PORTCALL_HUB=hub.address)
    for number in range(1, 4):
        call.write(f'{{"weightKg": {number}}}')
        await call.line(f'^{{"number":"{number}"}}$')
    call.close_stdin()
    assert await call.wait() == 0


async def test_call_that_fails_says_so_in_its_exit_code(processes: Processes, hub: HubProcess) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SUNK"}]
    request = json.dumps({"code": 5, "details": "no such ship", "statusDetails": details})
    done = await processes.run("call", "harbour.Port/Refuse", request, "--json", PORTCALL_HUB=hub.address)
    assert done.code == 64 + 5
    assert done.stdout == ""
    assert json.loads(done.stderr) == {
        "code": 5,
        "status": "NOT_FOUND",
        "message": "no such ship",
        "details": details,
    }


async def test_bad_document_in_a_stream_keeps_the_replies_before_it(processes: Processes, hub: HubProcess) -> None:
    call = await processes.start("call", "harbour.Port/Weigh", PORTCALL_HUB=hub.address)
    call.write('{"weightKg": 1}\n')
    await call.line('"number":"1"')
    call.write("{nonsense}\n")
    assert await call.wait() == 2
    assert call.stderr.startswith("portcall: error: request 2 of standard input is not JSON: ")
    assert call.stderr.endswith(" in line 2, column 2\n")


@pytest.mark.parametrize("method", ["Weigh", "Watch"])
async def test_ctrl_c_cancels_the_call(processes: Processes, hub: HubProcess, method: str) -> None:
    request = ("{}",) if method == "Watch" else ()
    call = await processes.start("call", f"harbour.Port/{method}", *request, PORTCALL_HUB=hub.address)
    call.write("{}")
    await call.line(r"^\{")
    async with grpc.aio.insecure_channel(hub.address) as channel:
        ask = channel.unary_unary(
            "/portcall.v1.Fleet/ListWorkers", ListWorkersRequest.SerializeToString, ListWorkersReply.FromString
        )
        assert (await ask(ListWorkersRequest())).workers[0].running == 1
        call.interrupt()
        assert await call.wait() == 130
        assert call.stderr.strip() == ""
        while (await ask(ListWorkersRequest())).workers[0].running:
            pass


async def test_ctrl_c_ends_a_command_that_waits_for_input(processes: Processes, hub: HubProcess) -> None:
    call = await processes.start("call", "harbour.Port/Load", "--verbose", PORTCALL_HUB=hub.address)
    await call.line("^> harbour.Port/Load at ")
    call.interrupt()
    assert await call.wait() == 130


async def test_second_request_of_an_endless_input_is_one_too_many(processes: Processes, hub: HubProcess) -> None:
    command = " ".join(portcall("call", "harbour.Port/Inspect"))
    endless = await processes.spawn("bash", "-c", f"yes '{{}}' | {command}", PORTCALL_HUB=hub.address)
    assert await endless.wait() == 2
    assert endless.stderr == (
        "portcall: error: harbour.Port/Inspect takes one request, and a second one begins in line 2, column 1 of"
        " standard input\n"
    )


async def test_server_that_is_away_is_told_to_programs_too(processes: Processes) -> None:
    done = await processes.run("call", "--list", "--json", "--hub", "127.0.0.1:1")
    assert done.code == 64 + 14
    said = json.loads(done.stderr)
    assert (said["code"], said["status"], said["details"]) == (14, "UNAVAILABLE", [])
    assert said["message"].startswith("no server answers at 127.0.0.1:1 (Connection refused). ")


async def test_reader_that_goes_ends_the_call(processes: Processes, hub: HubProcess) -> None:
    command = " ".join(portcall("call", "harbour.Port/Watch", "'{}'"))
    piped = await processes.spawn(
        "bash", "-c", f"{command} | head -2; echo ${{PIPESTATUS[0]}}", PORTCALL_HUB=hub.address
    )
    assert await piped.wait() == 0
    assert piped.stdout == '{"number":"1"}\n{"number":"2"}\n141\n'
    assert piped.stderr == ""


@pytest.mark.parametrize("arguments", [("harbour.Port/Inspect", "{}"), ("--list",)])
async def test_output_that_cannot_be_written_is_an_error(
    processes: Processes, hub: HubProcess, arguments: tuple[str, ...]
) -> None:
    command = " ".join(portcall("call", *arguments))
    full = await processes.spawn("bash", "-c", f"{command} > /dev/full", PORTCALL_HUB=hub.address)
    assert await full.wait() == 1
    assert full.stderr == "portcall: error: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize(
    ("redirection", "words"),
    [("- <&-", "standard input is closed, and cannot be read"), ("'{}' >&-", "standard output is closed")],
)
async def test_stream_that_is_closed_is_named(
    processes: Processes, hub: HubProcess, redirection: str, words: str
) -> None:
    command = " ".join(portcall("call", "harbour.Port/Inspect"))
    closed = await processes.spawn("bash", "-c", f"{command} {redirection}", PORTCALL_HUB=hub.address)
    assert await closed.wait() in {1, 2}
    assert closed.stderr == f"portcall: error: {words}\n"


async def test_named_pipe_is_waited_for(processes: Processes, hub: HubProcess, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "requests")
    call = await processes.start("call", "harbour.Port/Load", f"@{tmp_path}/requests", PORTCALL_HUB=hub.address)
    with (tmp_path / "requests").open("w") as requests:
        requests.write(CRATE)
    assert await call.wait() == 0
    assert call.stdout == '{"crates":"1","weightKg":"5"}\n'


async def test_single_reply_is_laid_out_on_a_terminal(processes: Processes, hub: HubProcess) -> None:
    main, end = pty.openpty()
    try:
        call = await asyncio.create_subprocess_exec(
            *portcall("call", "harbour.Port/Inspect", '{"note": "x"}'),
            stdin=end,
            stdout=end,
            stderr=end,
            env={**os.environ, "PORTCALL_HUB": hub.address},
        )
        assert await call.wait() == 0
        assert os.read(main, 1_000) == b'{\r\n  "note": "x"\r\n}\r\n'
    finally:
        os.close(main)
        os.close(end)


async def test_stream_is_read_from_a_terminal(processes: Processes, hub: HubProcess) -> None:
    main, end = pty.openpty()
    try:
        call = await asyncio.create_subprocess_exec(
            *portcall("call", "harbour.Port/Load"),
            stdin=end,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PORTCALL_HUB": hub.address},
        )
        os.write(main, CRATE.encode() + b"\n\x04")
        said, _ = await call.communicate()
        assert said == b'{"crates":"1","weightKg":"5"}\n'
        assert call.returncode == 0
    finally:
        os.close(main)
        os.close(end)


async def test_verbose_shows_what_went_and_came(processes: Processes, hub: HubProcess) -> None:
    options = ("--verbose", "-H", "X-Text: a b", "-H", "x-bytes-bin: AP8", "--hub", hub.address)
    done = await processes.run("call", "harbour.Port/Inspect", "{}", *options)
    assert done.stdout == "{}\n"
    assert done.stderr.splitlines() == [
        f"> harbour.Port/Inspect at {hub.address}",
        "> rpc Inspect(harbour.Manifest) returns (harbour.Manifest)",
        ">   x-text: a b",
        ">   x-bytes-bin: AP8=",
        "< initial metadata (2)",
        "<   x-text: a b",
        "<   x-bytes-bin: AP8=",
        "< trailers (2)",
        "<   x-trailer: anchored",
        "<   x-trailer-bin: AP8=",
        "< status 0 OK",
        "* sent 1 request, got 1 reply",
    ]


async def test_server_that_is_not_there_yet_is_waited_for(processes: Processes) -> None:
    address = f"127.0.0.1:{free_port()}"
    call = await processes.start("call", "portcall.v1.Fleet/ListWorkers", "{}", "--wait-for-ready", "--hub", address)
    await processes.hub(listen=address)
    assert await call.wait() == 0
    assert call.stdout == "{}\n"


async def test_server_without_reflection_needs_descriptors(processes: Processes, plain: str, protoset: Path) -> None:
    asked = await processes.run("call", "harbour.Port/Inspect", "{}", "--hub", plain)
    assert asked.code == 2
    assert asked.stderr == (
        f"portcall: error: the server at {plain} has no reflection, and cannot say what it serves. Give descriptors"
        " with --protoset FILE, as 'protoc --include_imports --descriptor_set_out=FILE X.proto' writes it\n"
    )
    options = ("--protoset", str(protoset), "--hub", plain)
    assert (await processes.run("call", "harbour.Port/Inspect", '{"note": "x"}', *options)).stdout == '{"note":"x"}\n'


async def test_descriptors_are_shown_without_any_server(processes: Processes, protoset: Path) -> None:
    options = ("--descriptor-set", str(protoset), "--hub", "127.0.0.1:1")
    listed = await processes.run("call", "--list", *options)
    assert listed.stdout == "harbour.Lighthouse\nharbour.Port\n"
    described = await processes.run("call", "--describe", "harbour.Crate", *options)
    assert described.stdout == (
        "// harbour.Crate, in harbour.proto\n"
        "message Crate {\n"
        "  string label = 1;\n"
        "  int32 weight_kg = 2;\n"
        "}\n"
        "\n"
        "// harbour.Crate as JSON:\n"
        "// {\n"
        '//   "label": "",\n'
        '//   "weightKg": 0\n'
        "// }\n"
    )
    missing = await processes.run("call", "harbour.Port/Inspect", "{}", *options)
    assert missing.code == 64 + 14
    assert missing.stderr.startswith("portcall: error: no server answers at 127.0.0.1:1 (Connection refused). ")


async def test_descriptor_set_that_lacks_an_import_is_refused(processes: Processes, tmp_path: Path) -> None:
    lacking = FileDescriptorSet(file=[FileDescriptorProto(name="a.proto", dependency=["b.proto"])])
    (tmp_path / "set.bin").write_bytes(lacking.SerializeToString())
    done = await processes.run("call", "--list", "--protoset", "set.bin", folder=tmp_path)
    assert done.code == 2
    assert done.stderr == (
        "portcall: error: the descriptor set lacks b.proto, which other files of it import. Have protoc write them with"
        " --include_imports\n"
    )


async def test_any_server_with_reflection_will_do(processes: Processes) -> None:
    server = grpc.aio.server()
    harbour_pb2_grpc.add_PortServicer_to_server(Port(), server)  # type: ignore[no-untyped-call]
    reflection.enable_server_reflection(["harbour.Port"], server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    done = await processes.run("call", "harbour.Port/Load", CRATE, "--hub", address)
    await server.stop(None)
    assert (done.code, done.stdout, done.stderr) == (0, '{"crates":"1","weightKg":"5"}\n', "")


async def test_lists_are_for_people_and_for_programs(processes: Processes, hub: HubProcess) -> None:
    services = await processes.run("call", "--list", PORTCALL_HUB=hub.address)
    assert "harbour.Port" in services.stdout.splitlines()
    as_json = await processes.run("call", "--list", "--json", PORTCALL_HUB=hub.address)
    assert json.loads(as_json.stdout) == {"services": services.stdout.splitlines()}
    methods = await processes.run("call", "--list", "harbour.Port", PORTCALL_HUB=hub.address)
    names = ["Inspect", "Watch", "Load", "Weigh", "Refuse"]
    assert methods.stdout.splitlines() == [f"harbour.Port/{name}" for name in names]
    as_json = await processes.run("call", "--list", "harbour.Port", "--json", PORTCALL_HUB=hub.address)
    assert json.loads(as_json.stdout)["methods"][1] == {
        "name": "harbour.Port/Watch",
        "request": "harbour.WatchRequest",
        "reply": "harbour.Sighting",
        "client_streaming": False,
        "server_streaming": True,
    }


@pytest.mark.parametrize("name", ["harbour.Port/Load", "harbour.Port.Load"])
async def test_method_is_described_with_its_messages(processes: Processes, hub: HubProcess, name: str) -> None:
    described = await processes.run("call", "--describe", name, "--json", PORTCALL_HUB=hub.address)
    assert json.loads(described.stdout) == {
        "name": "harbour.Port/Load",
        "file": "harbour.proto",
        "proto": (
            "rpc Load(stream harbour.Crate) returns (harbour.Summary);\n\n"
            "// harbour.Crate, in harbour.proto\n"
            "message Crate {\n  string label = 1;\n  int32 weight_kg = 2;\n}\n\n"
            "// harbour.Summary, in harbour.proto\n"
            "message Summary {\n  int64 crates = 1;\n  int64 weight_kg = 2;\n}"
        ),
        "sample": {"label": "", "weightKg": 0},
    }


async def test_file_and_enum_are_described(processes: Processes, hub: HubProcess) -> None:
    file = await processes.run("call", "--describe", "harbour.proto", PORTCALL_HUB=hub.address)
    assert file.stdout.startswith('syntax = "proto3";\n\npackage harbour;\n')
    enum = await processes.run("call", "--describe", "harbour.Flag", PORTCALL_HUB=hub.address)
    assert enum.stdout.startswith("// harbour.Flag, in harbour.proto\nenum Flag {\n  FLAG_UNSPECIFIED = 0;\n")
