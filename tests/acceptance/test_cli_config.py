"""Settings from options, environment and file, by real commands: who wins, what is told, and who is not disturbed."""

import json
import re
import shutil
import textwrap
from pathlib import Path

import pytest

from .processes import APPS, Process, Processes

HOSTILE = """\
    [connect]
    hub = "127.0.0.1:1"
    tls = true
    tls-ca = "nothing.pem"
    token-file = "nothing.token"
    [hub]
    listen = "127.0.0.1:1"
    tls-cert = "nothing.pem"
    [dev]
    listen = "127.0.0.1:1"
    [worker]
    slots = 7
    """
"""Everything that could lead a command astray."""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """An empty folder; `write` puts files into it."""
    return tmp_path


def write(here: Path, text: str, name: str = "portcall.toml") -> Path:
    path = here / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


async def settings(processes: Processes, here: Path, *arguments: str, **environment: str) -> dict[str, tuple[str, str]]:
    """What `portcall config` shows as changed: values and what has set them, by their variables."""
    done = await processes.run("config", "--changed", "--json", *arguments, folder=here, **environment)
    assert (done.code, done.stderr) == (0, "")
    return {row["variable"]: (row["value"], row["origin"]) for row in json.loads(done.stdout)["settings"]}


async def refused(processes: Processes, here: Path, *arguments: str, **environment: str) -> str:
    """The words of a command that ends with code 2 and one line."""
    done = await processes.run(*arguments, folder=here, **environment)
    assert (done.code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    return done.stderr.removeprefix("portcall: error: ").rstrip("\n")


async def listening(hub: Process) -> str:
    return (await hub.line(r"Hub listens on (\S+)"))[1]


async def test_option_wins_over_environment_and_that_over_file(processes: Processes, here: Path) -> None:
    write(here, f'[hub]\nlisten = "unix:{here}/file"')
    hub = ("hub", "--exit-with-stdin")
    variable, option = f"unix:{here}/variable", f"unix:{here}/option"
    by_file = await processes.start(*hub, folder=here)
    assert await listening(by_file) == f"unix:{here}/file"
    by_variable = await processes.start(*hub, folder=here, PORTCALL_HUB_LISTEN=variable)
    assert await listening(by_variable) == variable
    by_option = await processes.start(*hub, "--listen", option, folder=here, PORTCALL_HUB_LISTEN=variable)
    assert await listening(by_option) == option


async def test_paths_count_from_the_folder_of_the_file(processes: Processes, here: Path) -> None:
    write(here, '[hub]\nlisten = "unix:hub.sock"\n[connect]\nhub = "unix:hub.sock"\ntoken-file = "a/token"')
    inner = here / "a" / "b"
    inner.mkdir(parents=True)
    (here / "a" / "token").write_text("0123456789abcdef\n")
    hub = await processes.start("hub", "--exit-with-stdin", folder=inner)
    await listening(hub)
    listed = await processes.run("fleet", "ls", "--json", folder=here / "a")
    assert json.loads(listed.stdout)["hub"] == f"unix:{here}/hub.sock"


async def test_app_that_names_no_hub_is_served_to_the_one_of_the_file(processes: Processes, here: Path) -> None:
    hub = await processes.hub()
    write(here, f'[connect]\nhub = "{hub.address}"\n[worker]\nslots = 7\nname = "crane"')
    shutil.copy(APPS / "cargo.py", here)
    for more in ((), ("--processes", "1")):
        worker = await processes.start("worker", "cargo", *more, "--exit-with-stdin", folder=here)
        await worker.line("Attached to the hub")
        listed = json.loads((await processes.run("fleet", "ls", "--json", folder=here)).stdout)
        assert [(each["name"], each["slots"]) for each in listed["workers"]] == [("crane", 7)]
        worker.terminate()
        assert await worker.wait() == 0


async def test_file_that_is_named_wins_over_the_one_that_is_found(processes: Processes, here: Path) -> None:
    write(here, "[hub]\ndrain = 1")
    write(here, "[hub]\ndrain = 2", "two.toml")
    write(here, "[hub]\ndrain = 3", "three.toml")
    assert await settings(processes, here) == {"PORTCALL_HUB_DRAIN": (1.0, "portcall.toml [hub]")}
    assert await settings(processes, here, PORTCALL_CONFIG="two.toml") == {
        "PORTCALL_HUB_DRAIN": (2.0, "two.toml [hub]")
    }
    done = await processes.run("--config", "three.toml", "config", "--changed", folder=here, PORTCALL_CONFIG="two.toml")
    assert re.search(r"^\[hub\] drain +3 +three\.toml \[hub\]", done.stdout, re.MULTILINE)
    assert await settings(processes, here, PORTCALL_CONFIG="") == {}
    inner = here / "inner"
    inner.mkdir()
    assert await settings(processes, inner) == {"PORTCALL_HUB_DRAIN": (1.0, "../portcall.toml [hub]")}


async def test_file_that_is_named_and_missing_is_told(processes: Processes, here: Path) -> None:
    words = "cannot read nope.toml: No such file or directory. Correct"
    assert await refused(processes, here, "--config", "nope.toml", "hub") == f"{words} --config"
    assert await refused(processes, here, "fleet", "ls", PORTCALL_CONFIG="nope.toml") == f"{words} PORTCALL_CONFIG"


MISTAKES = {
    "[hub]\nqueue_max = 5": "portcall.toml [hub]: there is no key 'queue_max'. Did you mean queue-max?",
    "[hub]\na = 1\nb = 2\n[wroker]": (
        "portcall.toml [hub]: there is no key 'a'. Keys are listen, tls-cert, tls-key, tls-ca, token-file, store,"
        " adopt, jobs-kept-max, job-share, insecure, drain, grace, worker-wait, queue-max, queue-bytes-max,"
        " message-bytes-max, streams-max, window-bytes, links-max, link-bytes-max, ping-interval, log-level"
        " (2 more; 'portcall config' shows all)"
    ),
    "[worker]\nslotts = 5": "portcall.toml [worker]: there is no key 'slotts'. Did you mean slots?",
    "[wroker]\nslots = 5": "portcall.toml: there is no table [wroker]. Did you mean [worker]?",
    "[hub]\nqueue-max = '5'": (
        "portcall.toml [hub]: queue-max is a string, and should be a whole number, without quotes"
    ),
    "[hub]\nqueue-max = 0": (
        "invalid value for '--queue-max': 0 is not a whole number, 1 or more (set by queue-max in portcall.toml [hub])."
        " See: portcall hub --help"
    ),
    "[hub]\nlog-level = 'loud'": (
        "invalid value for '--log-level': 'loud' is not one of 'debug', 'info', 'warning', 'error' (set by log-level in"
        " portcall.toml [hub]). See: portcall hub --help"
    ),
    "[connect]\ntoken = '0123456789abcdef'": (
        "portcall.toml [connect]: a token is a secret and does not belong into this file. Put it into one that only you"
        " can read, and name that: token-file"
    ),
    "[hub\n": "portcall.toml, line 1, column 5: expected ']' at the end of a table declaration",
}


@pytest.mark.parametrize("text", MISTAKES)
async def test_mistake_in_the_file_is_one_line(processes: Processes, here: Path, text: str) -> None:
    write(here, text)
    assert await refused(processes, here, "hub") == MISTAKES[text]
    done = await processes.run("config", folder=here)
    assert done.code == 2
    first = (
        MISTAKES[text].removesuffix(" (2 more; 'portcall config' shows all)").removesuffix(". See: portcall hub --help")
    )
    assert done.stderr.splitlines()[0] == f"portcall: error: {first}"
    assert "0123456789abcdef" not in done.stdout + done.stderr


async def test_help_needs_no_file_that_is_right(processes: Processes, here: Path) -> None:
    write(here, "[hub")
    for command in ("--help", "hub --help", "worker app --help", "completion bash", "token", "config --help"):
        assert (await processes.run(*command.split(), folder=here)).code == 0


async def test_slip_in_a_variable_is_told_by_the_command_that_it_is_for(processes: Processes, here: Path) -> None:
    words = "there is no setting PORTCALL_HUB_DRIAN, which is in the environment. Did you mean PORTCALL_HUB_DRAIN?"
    assert await refused(processes, here, "hub", PORTCALL_HUB_DRIAN="1") == words
    away = await processes.run("fleet", "ls", "--hub", "127.0.0.1:1", folder=here, PORTCALL_HUB_DRIAN="1")
    assert away.code == 1
    words = "there is no setting PORTCALL_TOKN_FILE, which is in the environment. Did you mean PORTCALL_TOKEN_FILE?"
    assert await refused(processes, here, "fleet", "ls", PORTCALL_TOKN_FILE="1") == words


async def test_config_tells_all_that_is_wrong_at_once(processes: Processes, here: Path) -> None:
    write(here, "[hub]\nqueue_max = 1\nqueue-max = 0\n[attach]\nslots = -1\n[fleet]\nx = 1")
    variables = {"PORTCALL_HUB_GRACE": "x", "PORTCALL_HBU_DRAIN": "1"}
    done = await processes.run("config", "--json", folder=here, **variables)
    assert done.code == 2
    problems = json.loads(done.stdout)["problems"]
    assert done.stderr.splitlines() == [f"portcall: error: {problem}" for problem in problems]
    assert problems == [
        "portcall.toml [hub]: there is no key 'queue_max'. Did you mean queue-max?",
        "portcall.toml [fleet]: there is no key 'x'. It takes no keys",
        (
            "invalid value for '--grace': 'x' is not a span of time, as in 90, 5m, 2h or 7d (set by PORTCALL_HUB_GRACE"
            " in the environment)"
        ),
        "invalid value for '--queue-max': 0 is not a whole number, 1 or more (set by queue-max in portcall.toml [hub])",
        "invalid value for '--slots': -1 is not a whole number, 1 or more (set by slots in portcall.toml [attach])",
        "there is no setting PORTCALL_HBU_DRAIN, which is in the environment. Did you mean PORTCALL_HUB_DRAIN?",
    ]


async def test_config_shows_values_and_what_has_set_them(processes: Processes, here: Path) -> None:
    path = write(here, "[connect]\ntoken-file = 'client.token'\n[worker]\nslots = 8")
    done = await processes.run(
        "config", "worker", "--changed", folder=here, PORTCALL_HUB="hub.example:7070", PORTCALL_SEED="1"
    )
    shown = [re.split(r"  +", line.rstrip()) for line in done.stdout.splitlines()]
    assert shown == [
        [f"File: {path}"],
        [""],
        ["SETTING", "VALUE", "FROM"],
        ["[connect] hub", "hub.example:7070", "PORTCALL_HUB in the environment"],
        ["[connect] token-file", f"{here}/client.token", "portcall.toml [connect]"],
        ["[worker] slots", "8", "portcall.toml [worker]"],
        [""],
        ["In the environment, and no settings: PORTCALL_SEED"],
    ]
    page = Path(__file__).parents[2] / "docs" / "configuration.md"
    example = re.findall(r"^\$ portcall config worker --changed\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    wanted = [re.split(r"  +", line.replace("HERE", str(here))) for line in example[0].splitlines()]
    assert shown[: len(wanted)] == wanted


async def test_config_without_a_file_says_where_it_looked(processes: Processes, here: Path) -> None:
    done = await processes.run("config", "--changed", folder=here)
    assert done.stdout == (f"No portcall.toml in {here} or a folder above it\n\nAll settings have their defaults\n")
    done = await processes.run("config", "demo", folder=here, PORTCALL_CONFIG="")
    assert done.stdout == "No file: PORTCALL_CONFIG is empty\n\nThis command has no settings\n"
    done = await processes.run("--config", "", "config", "--json", folder=here)
    assert json.loads(done.stdout)["file"] is None
    assert await refused(processes, here, "config", "nope") == "there is no command 'nope'. See: portcall config --help"


async def test_secrets_are_not_shown(processes: Processes, here: Path) -> None:
    token = "0123456789abcdef"
    write(here, "[connect]\ntoken-file = 'mine'")
    for how in ((), ("--json",)):
        done = await processes.run("config", *how, folder=here, PORTCALL_TOKEN=token)
        assert done.code == 0
        assert token not in done.stdout + done.stderr
        assert "set, not shown" in done.stdout
        assert "not used, since PORTCALL_TOKEN is set" in done.stdout


async def test_token_of_the_environment_wins_over_the_file_that_the_file_names(
    processes: Processes, here: Path
) -> None:
    worker, client = "worker-0123456789abcdef", "client-0123456789abcdef"
    write(here, f"worker {worker}\nclient {client}\n", "tokens")
    write(here, worker, "worker.token")
    hub = await processes.hub("--token-file", str(here / "tokens"))
    write(here, f'[connect]\nhub = "{hub.address}"\ntoken-file = "worker.token"')
    refusal = await refused(processes, here, "fleet", "ls")
    assert "PERMISSION_DENIED" in refusal
    listed = await processes.run("fleet", "ls", folder=here, PORTCALL_TOKEN=client)
    assert (listed.code, listed.stderr) == (0, "")
    refusal = await refused(processes, here, "fleet", "ls", "--token-file", "worker.token", PORTCALL_TOKEN=client)
    assert "PERMISSION_DENIED" in refusal


async def test_completion_asks_the_hub_of_the_file(processes: Processes, here: Path) -> None:
    hub = await processes.hub()
    await processes.worker("harbour", hub)
    write(here, f'[connect]\nhub = "{hub.address}"')
    words = {"_PORTCALL_COMPLETE": "bash_complete", "COMP_LINE": "portcall call harbour.Port/L", "COMP_POINT": "28"}
    done = await processes.run(folder=here, **words)
    assert done.stdout == "plain,harbour.Port/Load\n"
    write(here, "[connect")
    done = await processes.run(folder=here, **words)
    assert (done.code, done.stdout.strip(), done.stderr) == (0, "", "")


async def test_demo_is_not_disturbed_by_a_file(processes: Processes, here: Path) -> None:
    write(here, HOSTILE)
    texts = here / "texts"
    texts.mkdir()
    (texts / "ship.txt").write_text("A ship has a port to call at.")
    done = await processes.run("demo", "--input", "texts", folder=here)
    assert (done.code, done.stderr) == (0, "")


async def test_dev_hands_its_worker_what_is_for_workers_alone(processes: Processes, here: Path) -> None:
    write(here, HOSTILE.replace('[dev]\n    listen = "127.0.0.1:1"', '[dev]\n    listen = "127.0.0.1:0"'))
    shutil.copy(APPS / "cargo.py", here)
    dev = await processes.start("dev", "cargo", "--exit-with-stdin", folder=here)
    address = await listening(dev)
    await dev.line("Worker cargo serves")
    listed = await processes.run("fleet", "ls", "--json", "--hub", address, folder=here, PORTCALL_CONFIG="")
    assert [worker["slots"] for worker in json.loads(listed.stdout)["workers"]] == [7]


async def test_dev_tells_what_is_wrong_for_its_worker(processes: Processes, here: Path) -> None:
    write(here, "[worker]\nslots = 0")
    shutil.copy(APPS / "cargo.py", here)
    assert await refused(processes, here, "dev", "cargo", "--listen", "127.0.0.1:0") == (
        "invalid value for '--slots': 0 is not a whole number, 1 or more (set by slots in portcall.toml [worker])."
        " See: portcall worker --help"
    )


async def test_what_kubernetes_puts_into_containers_is_no_mistake(processes: Processes, here: Path) -> None:
    made = {"PORTCALL_HUB_SERVICE_HOST": "10.0.0.1", "PORTCALL_HUB_PORT": "tcp://10.0.0.1:7070"}
    done = await processes.run("config", "hub", folder=here, **made)
    assert (done.code, done.stderr) == (0, "")
    assert "SERVICE_HOST" not in done.stdout
