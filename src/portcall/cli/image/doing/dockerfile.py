"""What `portcall image dockerfile` does."""

from pathlib import Path
from typing import Any

import click

from portcall.cli.image.doing.reach import store_of
from portcall.cli.image.doing.reporting import progress_of_command
from portcall.cli.image.doing.request import request_of
from portcall.image.application import read_application
from portcall.image.bases import find_python, look_into, target_of
from portcall.image.building import load_lock, open_base
from portcall.image.configuration import Kind
from portcall.image.dockerfile import DockerfilePlan, dockerfile, merged
from portcall.image.project import read_project, with_version
from portcall.image.sources import read_whole


def perform(*, cache: Path | None, **options: Any) -> None:
    """Print a Dockerfile."""
    request, store = request_of(options), store_of(cache)
    folder: Path = request.folder
    lock = load_lock(request)
    with progress_of_command() as progress:
        source = open_base(request, store, progress)
        base = read_whole(source, request.platforms)
        selections = []
        for part in base.parts:
            facts = look_into(part, source, store, progress)
            target = target_of(part, facts, find_python(facts, part, source.name, request.python), source.name)
            selections.append(lock.select(target))
        source.close()
    application = None
    if request.kind is Kind.WORKER:
        application = read_application(folder, with_version(read_project(folder), folder))
    plan = DockerfilePlan(
        kind=request.kind,
        app=request.app,
        base=request.base if request.base.startswith("oci:") else base.name,
        pins=merged(selections),
        index_options=lock.index_options,
        folder=folder,
        python_path=application.python_path if application else "",
        tree=application.tree if application else {},
        left_out=application.left_out if application else (),
    )
    click.echo(dockerfile(plan), nl=False)
