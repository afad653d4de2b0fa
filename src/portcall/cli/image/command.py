"""`portcall image`: its commands and their options. What they do is in `doing`."""

import importlib
from typing import Any

import click

from portcall.cli.image.settings import (
    cache,
    engine,
    image_name,
    insecure_registry,
    output,
    platform,
    project_options,
)
from portcall.cli.options import as_json, count, file_path, setting
from portcall.errors import ConfigurationError
from portcall.image.defaults import HUB_ADDRESS

EXTRA = ("packaging", "urllib3")


def do(name: str, **params: Any) -> Any:
    """Do what a command is for.

    Raises:
        ConfigurationError: what it needs is not installed.
    """
    try:
        module = importlib.import_module(f"portcall.cli.image.doing.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in EXTRA:
            raise ConfigurationError(f"{error.name} is missing. Install it:  pip install 'portcall[image]'") from None
        raise
    return module.perform(**params)


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  portcall image build --tag registry.example.com/greeter:1    of app.py here
  portcall image push                                          what was built
  portcall image inspect registry.example.com/greeter:1        what is in it?

No Docker is needed to build or push. docs/containers.md goes from an empty server to a fleet.""",
)
@click.pass_context
def image(ctx: click.Context) -> None:
    """Turn a project into a container image, and look at images."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@image.command(
    epilog="""\b
Examples:
  portcall image build                          the project here
  portcall image build --app greet.app:worker --tag example.com/greeter:1
  portcall image build --tag greeter:1 --load   into Docker here, too
  portcall image build --hub --tag registry.example.com/hub:1
  portcall image build --base oci:../base       a base on the disk

The project needs a lock with hashes, and portcall in it. Same inputs, same digest: on any machine, at any time. A base
that is named by a tag is fixed in portcall-image.lock when it is first used."""
)
@project_options
@setting(
    "--tag",
    "Name of the image, with its registry; may be given several times.",
    metavar="NAME",
    multiple=True,
    type=image_name,
    variable="PORTCALL_IMAGE_TAG",
    shown="none",
)
@output
@click.option("--load", "is_loading", is_flag=True, help="Put it into the Docker or podman of this machine as well.")
@engine
@as_json
def build(**params: Any) -> None:
    """Turn a project into an image, without a Docker daemon.

    FOLDER is the project: pyproject.toml if it has one, its lock, its code and its .proto files. The image has a layer
    of the locked packages and one of the application. It runs as nobody in particular, and its first process is the
    worker.
    """
    if params["is_loading"] and not params["tag"]:
        raise click.UsageError("--load needs a --tag: the engine wants a name for it", click.get_current_context())
    do("build", **params)


@image.command(
    epilog="""\b
Examples:
  portcall image push                                  as it is named
  portcall image push registry.example.com/greeter:2   under another name
  docker login registry.example.com                    where you must be known

Layers that the registry has are not sent again. The tag is written last, so that it never names half an image; a push
that was cut off goes on where it was. Credentials are those of Docker's configuration and of the helpers it names."""
)
@click.argument("names", metavar="[NAME]...", nargs=-1, type=image_name)
@click.option(
    "--from", "folder", metavar="DIR", type=file_path, help="Folder of the image. [default: where it was built]"
)
@output
@cache
@insecure_registry
@as_json
def push(**params: Any) -> None:
    """Push an image that was built to a registry."""
    do("push", **params)


@image.command(
    epilog="""\b
Examples:
  portcall image inspect                               what was built last
  portcall image inspect registry.example.com/greeter:1
  portcall image inspect oci:build/image --json | jq '.[0].packages[].name'
  portcall image inspect --sbom --only linux/amd64 > sbom.json"""
)
@click.argument("image", default="", metavar="[IMAGE]")
@click.option("--only", metavar="PLATFORM", type=platform, help="This platform, as in linux/amd64. [default: all]")
@click.option("--sbom", "is_sbom", is_flag=True, help="Print the bill of materials of one platform, CycloneDX 1.6.")
@output
@cache
@insecure_registry
@as_json
def inspect(**params: Any) -> None:
    """Tell what is inside of an image: environment, contract, revision, packages.

    IMAGE is a name with its registry, oci:DIR, or the folder of a layout. Its layers are not fetched.
    """
    do("inspect", **params)


@image.command(
    epilog="""\b
Examples:
  portcall image diff registry.example.com/greeter:1 build/image
  portcall image diff example.com/greeter:1 example.com/greeter:2 --json
  portcall image diff OLD NEW --exit-code || echo differs"""
)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--only", metavar="PLATFORM", type=platform, help="Compare this one. [default: the first both have]")
@click.option("--exit-code", "is_telling", is_flag=True, help="End with 1 if anything differs.")
@cache
@insecure_registry
@as_json
def diff(**params: Any) -> int:
    """Tell what changed between two images: facts, settings, packages, files of the application."""
    code: int = do("diff", **params)
    return code


@image.command(
    epilog="""\b
Examples:
  portcall image dockerfile > Dockerfile
  portcall image dockerfile --hub --base python:3.12-slim > hub.Dockerfile"""
)
@project_options
def dockerfile(**params: Any) -> None:
    """Write a Dockerfile that makes an equivalent image.

    The same base, packages, files and settings; not the same digest, since a Dockerfile's steps depend on the day.
    """
    do("dockerfile", **params)


@image.command(
    epilog="""\b
Examples:
  portcall image compose registry.example.com/greeter:1
      --hub-image registry.example.com/hub:1 > compose.yaml
  PORTCALL_TOKEN=... docker compose up -d"""
)
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=image_name)
@setting(
    "--hub-image",
    "Image of the hub, as 'portcall image build --hub' makes it.",
    metavar="IMAGE",
    type=image_name,
    variable="PORTCALL_IMAGE_COMPOSE_HUB_IMAGE",
    shown="none",
)
@setting(
    "--workers",
    "How many of each image.",
    type=count,
    metavar="N",
    default=1,
    variable="PORTCALL_IMAGE_COMPOSE_WORKERS",
)
@setting(
    "--listen",
    "Where the hub listens.",
    metavar="HOST:PORT",
    default=HUB_ADDRESS,
    variable="PORTCALL_IMAGE_COMPOSE_LISTEN",
)
@setting(
    "--memory",
    "Most memory of a container.",
    metavar="SIZE",
    default="1g",
    variable="PORTCALL_IMAGE_COMPOSE_MEMORY",
)
@setting(
    "--cpus",
    "Most processors of a container.",
    metavar="N",
    default="1.0",
    variable="PORTCALL_IMAGE_COMPOSE_CPUS",
)
@click.option("--no-pin", is_flag=True, help="Name the images as they are said, without asking for their digests.")
@cache
@insecure_registry
def compose(**params: Any) -> None:
    """Write a compose file for one machine: a hub, and workers of the images.

    The images are named by their digests, so that the file means the same for ever, and 'portcall fleet ls' shows them.
    """
    if params["hub_image"] is None:
        raise click.UsageError(
            "which hub? Say --hub-image NAME; 'portcall image build --hub' makes one", click.get_current_context()
        )
    do("compose", **params)
