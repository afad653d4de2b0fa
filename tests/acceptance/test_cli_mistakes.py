"""What a mistake looks like: one line on stderr that says what, where and what to do; no traceback of ours; code 2."""

import textwrap
from pathlib import Path

import pytest

from .processes import Processes

APPS = {
    "several.py": """\
        import portcall
        one, two = portcall.Worker(), portcall.Worker()
        number = 1
        def nothing(): pass
        async def later(): return one
        def boom(): raise RuntimeError("no settings here")
        """,
    "none.py": "number = 1",
    "bare.py": """\
        import portcall
        worker = portcall.Worker()
        """,
    "elsewhere.py": """\
        import portcall
        worker = portcall.Worker("nonsense")
        worker.add_registered_method_handlers("a.B", {"C": __import__("grpc").unary_unary_rpc_method_handler(print)})
        """,
    "needs.py": "import not_installed",
    "fails.py": """\
        def load():
            return settings
        load()
        """,
    "syntax.py": "def (",
    "quits.py": "raise SystemExit('usage: quits')",
    "folder/queue.py": "import portcall; worker = portcall.Worker()",
}

HUB_HELP = "See: portcall hub --help"
NO_SPAN = "is not a span of time, as in 90, 5m, 2h or 7d"
SHAPE = "it should be MODULE:OBJECT, as in app:worker, or path/to/app.py:worker"
NO_DOCUMENTS = (
    "there are no documents in {here}/empty, by the names of files: no text, Markdown, HTML or source code."
    " Choose another directory with --input"
)

MISTAKES = {
    "wroker": "no such command 'wroker'. Did you mean 'worker'? See: portcall --help",
    "fleet sl": "no such command 'sl'. See: portcall fleet --help",
    "hub --config x": f"--config stands before the command, as in portcall --config FILE hub. {HUB_HELP}",
    "hub --grace soon": f"invalid value for '--grace': 'soon' {NO_SPAN}. {HUB_HELP}",
    "hub --drain -1": f"invalid value for '--drain': '-1' {NO_SPAN}. {HUB_HELP}",
    "hub --queue-max 0": f"invalid value for '--queue-max': '0' is not a whole number, 1 or more. {HUB_HELP}",
    "hub --listen nowhere": ("cannot listen on 'nowhere': it should be HOST:PORT, as in 127.0.0.1:7070, or unix:PATH"),
    "worker": "missing argument 'APP[:OBJECT]'. See: portcall worker --help",
    "worker nope": (
        "there is no module 'nope' in {here}, nor among the installed ones. Start portcall in the folder that has it,"
        " or name the file, as in path/to/nope.py"
    ),
    "worker folder.nope:worker": (
        "there is no module 'folder.nope' in {here}, nor among the installed ones. Start portcall in the folder that"
        " has it, or name the file, as in path/to/folder/nope.py"
    ),
    "worker folder/nope.py": "there is no Python file 'folder/nope.py' (looked in {here})",
    "worker none.py:": f"'none.py:' does not name an app: {SHAPE}",
    "worker ..none": f"'..none' does not name an app: {SHAPE}",
    "worker several": "several has no 'worker'. It has 'one', 'two': say several:one",
    "worker several.py:three": "several.py has no 'three'. It has 'one', 'two': say several.py:one",
    "worker none": "none has no 'worker'. It has no workers at all; make one in it: worker = portcall.Worker()",
    "worker none:number": (
        "none:number is an object of type int, and should be a portcall.Worker or a function that returns one."
        " It has no workers at all; make one in it: worker = portcall.Worker()"
    ),
    "worker several:nothing": (
        "several:nothing returned None, and should be a portcall.Worker or a function that returns one."
        " It has 'one', 'two': say several:one"
    ),
    "worker several:later": (
        "several:later returned an object of type coroutine, and should be a portcall.Worker or a function that returns"
        " one. It has 'one', 'two': say several:one"
    ),
    "worker folder/queue.py": (
        "folder/queue.py cannot be imported, because 'queue' is another module already ({stdlib}/queue.py)."
        " Rename the file"
    ),
    "worker bare --log-level error": (
        "this worker has no methods; call add_XServicer_to_server(servicer, worker) first"
    ),
    "worker bare --hub nonsense": (
        "invalid value for '--hub': 'nonsense' is not HOST:PORT, as in 127.0.0.1:7070, nor unix:PATH."
        " See: portcall worker --help"
    ),
    "worker elsewhere": ("the hub's address is 'nonsense'; it should be HOST:PORT, as in 127.0.0.1:7070, or unix:PATH"),
    "fleet ls --hub nonsense": (
        "invalid value for '--hub': 'nonsense' is not HOST:PORT, as in 127.0.0.1:7070, nor unix:PATH."
        " See: portcall fleet ls --help"
    ),
    "demo --input nope": "invalid value for '--input': Directory 'nope' does not exist. See: portcall demo --help",
    "demo --input none.py": "invalid value for '--input': Directory 'none.py' is a file. See: portcall demo --help",
    "demo --out none.py/x": "cannot make none.py/x: Not a directory. Choose another place with --out",
    "demo --input empty": NO_DOCUMENTS,
}

BLAMES = {
    "needs": ("import not_installed", "ModuleNotFoundError: No module named 'not_installed'", "while it was imported"),
    "fails": ("return settings", "NameError: name 'settings' is not defined", "while it was imported"),
    "syntax": ("def (", "SyntaxError: invalid syntax (syntax.py, line 1)", "while it was imported"),
    "quits": ("raise SystemExit", "SystemExit: usage: quits", "while it was imported"),
    "several:boom": ("raise RuntimeError", "RuntimeError: no settings here", "in boom()"),
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").mkdir()
    for name, text in APPS.items():
        (tmp_path / name).write_text(textwrap.dedent(text))
    return tmp_path


@pytest.mark.parametrize("command", MISTAKES)
async def test_mistake_is_one_line(processes: Processes, here: Path, command: str) -> None:
    done = await processes.run(*command.split(), folder=here)
    words = MISTAKES[command].format(here=here, stdlib=Path(textwrap.__file__).parent)
    assert done.stderr == f"portcall: error: {words}\n"
    assert done.code == 2


@pytest.mark.parametrize("app", BLAMES)
async def test_fault_of_the_app_is_shown_with_its_own_traceback(processes: Processes, here: Path, app: str) -> None:
    done = await processes.run("worker", app, folder=here)
    source, error, when = BLAMES[app]
    *trace, last = done.stderr.splitlines()
    assert last == f"portcall: error: {app.partition(':')[0]} failed {when} (above): {error}"
    assert source in "\n".join(trace)
    files = [line for line in trace if line.startswith("  File ")]
    assert files
    assert all(str(here) in line for line in files)
    assert done.code == 2


async def test_busy_port_is_one_line(processes: Processes) -> None:
    hub = await processes.hub()
    done = await processes.run("hub", "--listen", hub.address)
    assert done.stderr == (
        f"portcall: error: cannot listen on {hub.address}: another process listens there, or the address is not this"
        " machine's. Choose another with --listen\n"
    )
    assert done.stdout == ""
    assert done.code == 2


async def test_network_needs_an_explicit_word(processes: Processes) -> None:
    done = await processes.run("hub", "--listen", "0.0.0.0:7070")
    assert done.stderr.startswith("portcall: error: will not listen on '0.0.0.0:7070': it can be reached from beyond")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("or add --insecure if something else guards that network\n")
    assert done.code == 2


async def test_setting_of_the_environment_is_checked_like_an_option(processes: Processes) -> None:
    done = await processes.run("hub", PORTCALL_HUB_QUEUE_MAX="many")
    assert done.code == 2
    assert done.stderr == (
        "portcall: error: invalid value for '--queue-max': 'many' is not a whole number, 1 or more (set by"
        " PORTCALL_HUB_QUEUE_MAX in the environment). See: portcall hub --help\n"
    )
