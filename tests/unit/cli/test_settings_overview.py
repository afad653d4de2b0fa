"""What `portcall config` gathers."""

import click
import pytest

from portcall.cli.main import cli
from portcall.cli.settings.configuration import Configuration
from portcall.cli.settings.overview import Row, gather
from portcall.cli.settings.setting import CONNECT, Setting


def rows(*path: str) -> list[Row]:
    ctx = click.Context(cli, info_name="portcall", obj=Configuration("", {}))
    return list(gather(ctx, path).rows)


def test_each_setting_is_there_once() -> None:
    names = [row.variable for row in rows()]
    assert len(names) == len(set(names))
    assert [row.table for row in rows()].count(CONNECT) == 8  # the seven, and the token


def test_command_has_its_own_and_how_it_reaches_the_hub() -> None:
    assert {row.table for row in rows("worker")} == {CONNECT, "worker"}
    assert {row.table for row in rows("fleet", "ls")} == {CONNECT}
    assert {row.table for row in rows(CONNECT)} == {CONNECT}
    assert rows("demo") == []
    assert [row.variable for row in rows("hub") if row.table != "hub"] == ["PORTCALL_TOKEN"]


def test_settings_of_groups_are_found_and_shared_ones_shown_once() -> None:
    def command(name: str) -> click.Command:
        shared = Setting(["--wait"], words="", said="1", default=1, envvar="PORTCALL_YARD_WAIT")
        own = Setting(["--all"], words="", said="false", is_flag=True, envvar=f"PORTCALL_YARD_{name.upper()}_ALL")
        return click.Command(name, params=[shared, own])

    root = click.Group("portcall", commands={"yard": click.Group("yard", commands=[command("a"), command("b")])})
    ctx = click.Context(root, info_name="portcall", obj=Configuration("", {}))
    shown = [(row.table, row.key) for row in gather(ctx, ("yard",)).rows]
    assert shown == [("yard", "wait"), ("yard.a", "all"), ("yard.b", "all")]
    assert [row.key for row in gather(ctx, ("yard", "b")).rows] == ["wait", "all"]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("dns://10.0.0.1/hub:7070", "dns://10.0.0.1/hub:7070"),
        ("dns://ada:s3cret@h:1", "dns://ada:***@h:1"),
        ("host=h password=s3cret user=ada", "host=h password=*** user=ada"),
    ],
)
def test_passwords_in_addresses_are_hidden(monkeypatch: pytest.MonkeyPatch, address: str, shown: str) -> None:
    monkeypatch.setenv("PORTCALL_HUB", address)
    (row,) = (row for row in rows(CONNECT) if row.variable == "PORTCALL_HUB")
    assert (row.value, row.shown, row.source) == (shown, shown, "environment")
