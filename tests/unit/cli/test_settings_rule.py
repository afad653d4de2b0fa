"""The rule that settings are named by, held against every command: the option gives the key, the table the variable."""

import click
import pytest

from portcall.cli.main import COMMANDS, cli
from portcall.cli.options import connect, count
from portcall.cli.settings.environment import KUBERNETES
from portcall.cli.settings.kinds import BY_TYPE, STRING, fits, kind_of
from portcall.cli.settings.setting import CONNECT, Place, Setting, places_below, table_name, variable_of

CTX = click.Context(cli)
PLACES = [*places_below(cli, (), CTX)]
CONNECT_KEYS = ["hub", "token-file", "tls", "tls-ca", "tls-cert", "tls-key", "insecure"]


def commands_below(command: click.Command) -> list[click.Command]:
    if not isinstance(command, click.Group):
        return [command]
    return [command, *(found for each in command.list_commands(CTX) for found in commands_below(child(command, each)))]


def child(group: click.Group, name: str) -> click.Command:
    found = group.get_command(CTX, name)
    assert found is not None
    return found


def test_whatever_a_variable_can_set_is_a_setting() -> None:
    options = [param for command in commands_below(cli) for param in command.params if param.envvar is not None]
    assert options
    assert [param.name for param in options if not isinstance(param, Setting)] == []


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{'-'.join(place.path)}-{place.setting.key}")
def test_setting_keeps_to_the_rule(place: Place) -> None:
    setting = place.setting
    table = () if place.table == CONNECT else tuple(place.table.split("."))
    assert setting.variable == variable_of(table, setting.key)
    assert setting.variable in (setting.help or "")
    assert table == place.path[: len(table)]
    assert (setting.key in CONNECT_KEYS) or table
    assert KUBERNETES.fullmatch(setting.variable) is None
    assert not setting.words.endswith("]")
    assert setting.key != "token"


def test_shared_settings_are_the_same_everywhere() -> None:
    first: dict[str, Setting] = {}
    for place in PLACES:
        known = first.setdefault(place.setting.variable, place.setting)
        setting = place.setting
        assert (setting.words, setting.said, setting.name) == (known.words, known.said, known.name)


def test_connect_has_the_way_to_the_hub() -> None:
    assert [place.setting.key for place in places_below(connect, (), CTX)] == CONNECT_KEYS
    dialling = {place.path[0] for place in PLACES if place.table == CONNECT}
    assert {"worker", "attach", "call", "fleet", "doctor"} <= dialling
    assert not {"hub", "dev", "demo"} & dialling


def test_no_command_is_called_as_the_table_of_all() -> None:
    assert CONNECT not in COMMANDS


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{'-'.join(place.path)}-{place.setting.key}")
def test_default_is_of_the_kind_that_the_file_takes(place: Place) -> None:
    setting = place.setting
    name = setting.type.name
    is_named = name in BY_TYPE or isinstance(setting.type, click.Path | click.types.StringParamType)
    assert is_named or kind_of(setting) is not STRING, f"say in kinds.py which TOML values {name} takes"
    if setting.default is not None and not setting.multiple:
        assert fits(kind_of(setting), setting.default)


def test_kinds_are_named_after_types() -> None:
    assert click.types.convert_type(count).name in BY_TYPE


def test_setting_of_another_name_breaks_the_rule() -> None:
    broken = Setting(["--queue-max"], words="", said="", envvar="PORTCALL_QUEUE")
    with pytest.raises(ValueError, match="PORTCALL_QUEUE should be PORTCALL_HUB_QUEUE_MAX, after its command"):
        broken.table(("hub",))


def test_commands_of_a_group_may_share_a_setting() -> None:
    shared = Setting(["--timeout"], words="", said="", envvar="PORTCALL_FLEET_TIMEOUT")
    own = Setting(["--timeout"], words="", said="", envvar="PORTCALL_FLEET_LS_TIMEOUT")
    assert shared.table(("fleet", "ls")) == "fleet"
    assert own.table(("fleet", "ls")) == "fleet.ls"
    assert table_name(()) == CONNECT
