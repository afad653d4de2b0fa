"""What `portcall config` gathers."""

from pathlib import Path

import click
import pytest

from portcall.cli.main import cli
from portcall.cli.settings.configuration import Configuration
from portcall.cli.settings.overview import Row, gather
from portcall.cli.settings.setting import CONNECT, Setting
from portcall.errors import ConfigurationError


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


def test_command_that_is_not_installed_disturbs_no_other(tmp_path: Path) -> None:
    class Root(click.Group):
        def list_commands(self, ctx: click.Context) -> list[str]:
            return ["lacking", "yard"]

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            if cmd_name == "lacking":
                raise ConfigurationError("crane is missing:  pip install 'portcall[crane]'")
            return click.Command(
                "yard", params=[Setting(["--wait"], words="", said="1", type=int, envvar="PORTCALL_YARD_WAIT")]
            )

    (tmp_path / "portcall.toml").write_text("[lacking]\nreach = 5\n[yard]\nwait = 2")
    ctx = click.Context(Root("portcall"), info_name="portcall", obj=Configuration(str(tmp_path / "portcall.toml"), {}))
    overview = gather(ctx, ())
    assert [(row.table, row.key, row.value) for row in overview.rows] == [("yard", "wait", 2)]
    assert overview.problems == []
    with pytest.raises(ConfigurationError, match="crane is missing"):
        gather(ctx, ("lacking",))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("dns://10.0.0.1/hub:7070", "dns://10.0.0.1/hub:7070"),
        ("dns://ada:s3cret@h:1", "dns://ada:***@h:1"),
        ("host=h password=s3cret user=ada", "host=h password=*** user=ada"),
    ],
)
def test_passwords_in_addresses_are_hidden(monkeypatch: pytest.MonkeyPatch, address: str, shown: str) -> None:
    monkeypatch.setenv("PORTCALL_ATTACH_NAME", address)  # takes any text
    (row,) = (row for row in rows("attach") if row.variable == "PORTCALL_ATTACH_NAME")
    assert (row.value, row.shown, row.source) == (shown, shown, "environment")
