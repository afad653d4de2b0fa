"""The commands: what they say of themselves, and which settings the environment can give them."""

import re
import subprocess
import sys

import click
import grpc
import pytest

from portcall._version import __version__
from portcall.cli.exits import CallError
from portcall.cli.main import COMMANDS, cli, run
from portcall.core.limits import CallLimits
from portcall.hub import HubConfig


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_purpose_in_the_list_begins_the_command_s_own_help(name: str) -> None:
    purpose = COMMANDS[name].purpose.removesuffix(".")
    assert (command(name).help or "").startswith(purpose)


WAY_TO_THE_HUB = {"--hub", "--token-file", "--tls", "--tls-ca", "--tls-cert", "--tls-key", "--insecure"}
"""The same for every command that dials a hub."""


@pytest.mark.parametrize("name", ["hub", "worker", "dev", "attach"])
def test_every_setting_has_a_variable_that_its_help_names(name: str) -> None:
    for option in command(name).params:
        if not isinstance(option, click.Option) or option.hidden or option.opts == ["--json"]:
            continue
        is_shared = name not in {"hub", "dev"} and option.opts[0] in WAY_TO_THE_HUB
        parts = ["PORTCALL", *([] if is_shared else [name]), *option.opts[0].removeprefix("--").split("-")]
        expected = "_".join(parts).upper()
        assert option.envvar == expected
        assert f"env: {expected}]" in (option.help or "")


def test_defaults_of_the_hub_are_those_of_its_configuration() -> None:
    defaults = {option.name: option.default for option in command("hub").params}
    config, limits = HubConfig(), CallLimits()
    assert defaults["listen"] == config.listen
    assert defaults["grace"] == config.grace_s
    assert defaults["message_bytes_max"] == config.message_bytes_max
    assert defaults["links_max"] == config.links_max
    assert defaults["queue_max"] == limits.calls_waiting_max
    assert defaults["queue_bytes_max"] == limits.bytes_waiting_max
    assert defaults["worker_wait"] == limits.worker_wait_max_s


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_lists_every_command_and_exit_code(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    words = capsys.readouterr().out
    assert all(f"  {name} " in words for name in COMMANDS)
    assert all(f"\n    {code} " in words for code in ("0", "1", "2", "130"))


@pytest.mark.parametrize("name", [*COMMANDS, "fleet ls"])
def test_help_of_every_command_has_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*name.split(), "--help"]) == 0
    words = capsys.readouterr().out
    assert words.startswith(f"Usage: portcall {name} ")
    assert "Examples:" in words or name == "fleet"
    assert all(len(line) <= 80 for line in words.splitlines())


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"portcall {__version__}\n"


def test_help_starts_without_grpc_and_rich() -> None:
    code = "import sys; from portcall.cli.main import run; run(['--help']); print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"grpc", "google.protobuf", "rich"} & set(done.stdout.splitlines())


def test_help_of_call_has_the_exit_code_of_every_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["call", "--help"]) == 0
    shown = re.findall(r"\b(\d\d) ([A-Z_]+)\b", capsys.readouterr().out)
    codes = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
    assert shown == [(str(CallError("", code.value[0]).exit_code), code.name) for code in codes]
