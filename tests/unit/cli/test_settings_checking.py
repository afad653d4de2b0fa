"""What a file says, and everything that can be wrong with it."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from portcall.cli.main import cli
from portcall.cli.settings.checking import Checker, Judgement
from portcall.cli.settings.configuration import as_variable, chosen, tables_of
from portcall.cli.settings.file import SettingsFile
from portcall.cli.settings.setting import CONNECT, Setting, settings_of

CTX = click.Context(cli)
NAMES = [CONNECT, *cli.list_commands(CTX)]
ROOT = Path(__file__).resolve().parents[3]
FOLDER = Path("/etc/fleet")


def judge(document: dict[str, Any]) -> Judgement:
    file = SettingsFile(path=FOLDER / "portcall.toml", name="portcall.toml", document=document)
    return Checker(file, NAMES, lambda name: tables_of(name, cli, CTX)).judge()


def test_values_are_found_by_their_variables() -> None:
    text = """
        [connect]
        hub = "h:1"
        tls = true
        [hub]
        queue-max = 5
        grace = 2.5
        drain = 3
        listen = "unix:run/hub.sock"
        tls-cert = "hub.pem"
        [worker]
        processes = "auto"
        max-memory = "2G"
        [attach]
        service = ["a.B", "c.D"]
        upstream = "unix:/run/app.sock"
        [dev]
        protos = ["protos", "/abs", "~/mine"]
        log-level = "DEBUG"
        [call]
        timeout = 0
        """
    judgement = judge(tomllib.loads(text))
    assert judgement.problems == []
    assert judgement.values == {
        "PORTCALL_HUB": "h:1",
        "PORTCALL_TLS": True,
        "PORTCALL_HUB_QUEUE_MAX": 5,
        "PORTCALL_HUB_GRACE": 2.5,
        "PORTCALL_HUB_DRAIN": 3,
        "PORTCALL_HUB_LISTEN": "unix:/etc/fleet/run/hub.sock",
        "PORTCALL_HUB_TLS_CERT": "/etc/fleet/hub.pem",
        "PORTCALL_WORKER_PROCESSES": "auto",
        "PORTCALL_WORKER_MAX_MEMORY": "2G",
        "PORTCALL_ATTACH_SERVICE": ["a.B", "c.D"],
        "PORTCALL_ATTACH_UPSTREAM": "unix:/run/app.sock",
        "PORTCALL_DEV_PROTOS": ["/etc/fleet/protos", "/abs", str(Path.home() / "mine")],
        "PORTCALL_DEV_LOG_LEVEL": "DEBUG",
        "PORTCALL_CALL_TIMEOUT": 0,
    }


TOKEN = (
    "a token is a secret and does not belong into this file. Put it into one that only you can read, and name that:"
    " token-file"
)

PROBLEMS: dict[str, str] = {
    "hub.queue_max = 5": "[hub]: there is no key 'queue_max'. Did you mean queue-max?",
    "hub.Queue-Max = 5": "[hub]: there is no key 'Queue-Max'. Did you mean queue-max?",
    "hub.drian = 5": "[hub]: there is no key 'drian'. Did you mean drain?",
    "call.wibble = 5": ("[call]: there is no key 'wibble'. Keys are timeout, wait-for-ready, emit-defaults, protoset"),
    "hub.json = true": "[hub]: there is no key 'json'. Keys are listen, ",
    "demo.workers = 3": "[demo]: there is no key 'workers'. It takes no keys",
    "fleet.ls.json = true": "[fleet]: there is no key 'ls'. It takes no keys",
    "worker.hub = 'h:1'": "[worker]: hub says how to reach a hub, so it belongs below [connect]",
    "worker.token-file = 'x'": "[worker]: token-file says how to reach a hub, so it belongs below [connect]",
    "connect.token = 's3cret'": f"[connect]: {TOKEN}",
    "worker.token = 's3cret'": f"[worker]: {TOKEN}",
    "hub.TOKEN = 's3cret'": f"[hub]: {TOKEN}",
    "token = 's3cret'": f": {TOKEN}",
    "hbu.queue-max = 5": ": there is no table [hbu]. Did you mean [hub]?",
    "zebra.queue-max = 5": ": there is no table [zebra]. Tables are [connect], [demo], [hub], ",
    "hub = 'h:1'": ": hub is a string, and should be a table: [hub], with keys below it",
    "worker = [{slots = 1}]": ": worker is an array, and should be a table: [worker], with keys below it",
    "tls-ca = 'x'": ": tls-ca stands in no table; it belongs below [connect]",
    "queue-max = 5": ": 'queue-max' stands in no table; each key belongs below one, as in [hub] or [connect]",
    "hub.queue-max = '5'": "[hub]: queue-max is a string, and should be a whole number, without quotes",
    "hub.queue-max = 5.0": "[hub]: queue-max is a number, and should be a whole number, without quotes",
    "hub.queue-max = true": "[hub]: queue-max is true or false, and should be a whole number, without quotes",
    "hub.queue-max = [5]": "[hub]: queue-max is an array, and should be a whole number, without quotes",
    "hub.queue-max.x = 5": "[hub]: queue-max is a table, and should be a whole number, without quotes",
    "hub.grace = 1979-05-27": "[hub]: grace is a date, and should be a number of seconds, or a span in quotes",
    "hub.grace = 1979-05-27T07:32:00": "[hub]: grace is a date and time, and should be a number of seconds",
    "hub.grace = 07:32:00": "[hub]: grace is a time, and should be a number of seconds, or a span in quotes",
    "hub.insecure = 'yes'": "[hub]: insecure is a string, and should be true or false",
    "hub.insecure = 1": "[hub]: insecure is a whole number, and should be true or false",
    "hub.listen = 7070": "[hub]: listen is a whole number, and should be a string, in quotes",
    "hub.listen = '7070'": "[hub]: listen is no address; say HOST:PORT, as in 127.0.0.1:7070, or unix:PATH",
    "connect.hub = 'nonsense'": "[connect]: hub is no address; say HOST:PORT, as in 127.0.0.1:7070, or unix:PATH",
    "hub.log-level = 3": (
        '[hub]: log-level is a whole number, and should be one of "debug", "info", "warning", "error"'
    ),
    "worker.processes = true": '[worker]: processes is true or false, and should be a whole number, or "auto"',
    "worker.max-memory = 0.5": (
        '[worker]: max-memory is a number, and should be a number of bytes, or a size in quotes, as in "512M"'
    ),
    "attach.service = 'a.B'": (
        "[attach]: service is a string, and should be an array, as in service = [...]; in it, a string, in quotes"
    ),
    "attach.service = ['a.B', 5]": "[attach]: service has a whole number, and should have a string, in quotes",
    "attach.service = ['']": "[attach]: service has an empty string; remove it, or say a string, in quotes",
    "connect.token-file = ''": "[connect]: token-file is an empty string; remove it, or say a string, in quotes",
    r'connect.token-file = "a\u0000b"': "[connect]: token-file is a string with a NUL character",
    f"hub.{'x' * 1000} = 5": f"[hub]: there is no key '{'x' * 60}...'. Keys are listen, ",
}


@pytest.mark.parametrize("text", PROBLEMS, ids=lambda text: text[:40])
def test_problem_names_file_table_key_and_what_is_right(text: str) -> None:
    judgement = judge(tomllib.loads(text))
    words = PROBLEMS[text]
    (problem,) = judgement.problems
    assert problem.startswith(f"portcall.toml{'' if words.startswith(':') else ' '}{words}")
    assert judgement.values == {}
    assert "s3cret" not in problem


def test_all_problems_are_told_at_once_beside_what_is_right() -> None:
    judgement = judge(tomllib.loads("hub.queue-max = 5\nhub.a = 1\nwroker.b = 2\nc = 3"))
    assert len(judgement.problems) == 3
    assert judgement.values == {"PORTCALL_HUB_QUEUE_MAX": 5}


def test_tables_in_tables_are_those_of_commands_in_groups() -> None:
    setting = Setting(["--timeout"], words="", said="", envvar="PORTCALL_FLEET_LS_TIMEOUT", type=float)
    shared = Setting(["--all"], words="", said="", envvar="PORTCALL_FLEET_ALL", is_flag=True)
    tables = {"fleet": {"all": shared}, "fleet.ls": {"timeout": setting}}
    document = tomllib.loads("fleet.all = true\nfleet.ls.timeout = 5\nfleet.ls.tiemout = 5\nfleet.lss.timeout = 5")
    file = SettingsFile(path=FOLDER / "portcall.toml", name="portcall.toml", document=document)
    judgement = Checker(file, ["fleet"], lambda name: tables if name == "fleet" else {CONNECT: {}}).judge()
    assert judgement.values == {"PORTCALL_FLEET_ALL": True, "PORTCALL_FLEET_LS_TIMEOUT": 5}
    assert judgement.problems == [
        "portcall.toml [fleet.ls]: there is no key 'tiemout'. Did you mean timeout?",
        "portcall.toml [fleet]: there is no key 'lss'. Did you mean ls?",
    ]


@pytest.mark.parametrize("page", ["README.md", "docs/configuration.md"])
def test_files_that_the_docs_show_are_right(page: str) -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        judgement = judge(tomllib.loads(block))
        assert judgement.problems == []
        assert judgement.values


def test_command_gets_its_own_by_the_names_of_its_parameters() -> None:
    command = cli.get_command(CTX, "compile")
    assert command is not None
    values = {"PORTCALL_COMPILE_INCLUDE": ["/a"], "PORTCALL_HUB_GRACE": 1, "PORTCALL_COMPILE_NO_SERVICES": True}
    assert chosen(values, command) == {"includes": ["/a"], "no_services": True}


@pytest.mark.parametrize(
    ("command", "key", "value", "text"),
    [
        ("hub", "insecure", True, "1"),
        ("hub", "insecure", False, "0"),
        ("hub", "grace", 2.5, "2.5"),
        ("worker", "processes", "auto", "auto"),
        ("attach", "service", ["a.B", "c.D"], "a.B c.D"),
        ("dev", "protos", ["/", "/usr"], f"/{os.pathsep}/usr"),
    ],
)
def test_value_as_a_variable_means_the_same(
    monkeypatch: pytest.MonkeyPatch, command: str, key: str, value: Any, text: str
) -> None:
    found = cli.get_command(CTX, command)
    assert found is not None
    setting = next(each for each in settings_of(found) if each.key == key)
    assert as_variable(setting, value) == text
    monkeypatch.setenv(setting.variable, text)
    ctx = click.Context(found)
    assert setting.type_cast_value(ctx, setting.value_from_envvar(ctx)) == setting.type_cast_value(ctx, value)
