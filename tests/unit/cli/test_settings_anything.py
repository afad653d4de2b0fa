"""Whatever stands in the file, what comes is a setting or an error of ours; never a traceback."""

from contextlib import suppress
from datetime import date, time
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcall.cli.main import cli
from portcall.cli.settings.configuration import Configuration
from portcall.cli.settings.file import SettingsFile, read_file
from portcall.cli.settings.overview import gather
from portcall.cli.settings.setting import CONNECT, places_below
from portcall.errors import ConfigurationError

CTX = click.Context(cli)
PLACES = [*places_below(cli, (), CTX)]
COMMANDS = {place.path: place.command for place in PLACES}
TABLES = sorted({place.table for place in PLACES})
VARIABLES = {place.setting.variable for place in PLACES}
KEYS = sorted({place.setting.key for place in PLACES})

SCALARS = (
    st.text(max_size=20)
    | st.sampled_from(["auto", "512M", "info", "127.0.0.1:0", "unix:x", "~nobody/x", "\0", "-1", "nan"])
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.just(date(2026, 1, 1))
    | st.just(time(1))
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
CONTENTS = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=10), VALUES, max_size=6)
DOCUMENTS = st.dictionaries(st.sampled_from(TABLES) | st.text(max_size=10), CONTENTS | VALUES, max_size=4)


def configured(document: dict[str, Any]) -> click.Context:
    """The context of `portcall` with this in its file."""
    configuration = Configuration("portcall.toml", {})
    configuration.__dict__["file"] = SettingsFile(
        path=Path("/etc/fleet/portcall.toml"), name="portcall.toml", document=document
    )
    return click.Context(cli, info_name="portcall", obj=configuration)


@given(DOCUMENTS)
def test_any_document_is_shown_or_told(document: dict[str, Any]) -> None:
    overview = gather(configured(document), ())
    assert {row.variable for row in overview.rows} == {*VARIABLES, "PORTCALL_TOKEN"}
    assert {row.source for row in overview.rows} <= {"default", "file", "environment"}


@given(DOCUMENTS, st.sampled_from(sorted(COMMANDS)))
def test_any_document_is_a_command_s_settings_or_one_error(document: dict[str, Any], path: tuple[str, ...]) -> None:
    ctx = configured(document)
    for name in path:
        ctx = click.Context(COMMANDS[path], info_name=name, parent=ctx)
    with suppress(ConfigurationError, click.UsageError):
        for place in PLACES:
            if place.path == path:
                place.setting.handle_parse_result(ctx, {}, [])
    assert set(ctx.params) <= {place.setting.name for place in PLACES}


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "portcall.toml"
    path.write_bytes(text)
    with suppress(ConfigurationError):
        assert read_file(path, "portcall.toml").path == path


def test_connect_is_a_table() -> None:
    assert CONNECT in TABLES
