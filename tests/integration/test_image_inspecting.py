"""What is told of images: to people, to programs, in standard forms; by the commands themselves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from image_stand import make_project

from portcall.image.composing import ComposePlan, ComposeService, compose
from portcall.image.store import Store


@pytest.fixture(scope="session")
def built(
    tmp_path_factory: pytest.TempPathFactory, base_folder: Path, wheel_folder: Path, store: Store
) -> tuple[Path, Path]:
    """Two images that differ in one line of the application and in a package."""
    folder = tmp_path_factory.mktemp("inspected")
    project = make_project(folder / "greeter", wheel_folder)
    (project / "pyproject.toml").write_text('[project]\nname = "greeter"\nversion = "1.2"\n')
    build = ("build", str(project), "--base", f"oci:{base_folder}", "--cache", str(store.folder))
    image(*build, "--output", str(folder / "old"))
    (project / "app.py").write_text((project / "app.py").read_text() + "\n# more\n")
    (project / "new.py").write_text("")
    image(*build, "--output", str(folder / "new"))
    return folder / "old", folder / "new"


def image(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "portcall", "image", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout if not code else done.stdout + done.stderr


def test_inspect_tells_facts_and_packages(built: tuple[Path, Path]) -> None:
    found = json.loads(image("inspect", str(built[0]), "--json"))
    assert [one["platform"] for one in found] == ["linux/amd64", "linux/arm64"]
    one = found[0]
    assert (one["title"], one["version"], one["kind"], one["user"]) == ("greeter", "1.2", "worker", "65532:65532")
    assert one["command"] == ["/opt/venv/bin/portcall", "worker", "app:worker"]
    assert {package["name"] for package in one["packages"]} >= {"portcall", "grpcio", "protobuf"}
    for text in (one["digest"], one["contract"], "portcall worker app:worker", "grpcio"):
        assert text in image("inspect", str(built[0]), "--only", "linux/amd64")


def test_the_bill_of_materials_is_valid_and_complete(built: tuple[Path, Path]) -> None:
    text = image("inspect", str(built[0]), "--sbom")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    packages = json.loads(image("inspect", str(built[0]), "--json"))[0]["packages"]
    libraries = [one for one in bill["components"] if one["type"] == "library"]
    assert [one["purl"] for one in libraries] == [f"pkg:pypi/{one['name']}@{one['version']}" for one in packages]
    assert image("inspect", str(built[0]), "--sbom") == text


def test_a_base_has_no_bill(base_folder: Path) -> None:
    assert "was not built by" in image("inspect", str(base_folder), "--sbom", code=2)
    assert "linux/amd64" in image("inspect", str(base_folder))


def test_diff_tells_what_changed(built: tuple[Path, Path]) -> None:
    old, new = map(str, built)
    changes = json.loads(image("diff", old, new, "--json"))
    assert [(one["kind"], one["name"]) for one in changes] == [("file", "app/app.py"), ("file", "app/new.py")]
    assert changes[1]["old"] is None
    assert "app/new.py" in image("diff", old, new)
    assert image("diff", old, old) == "No difference\n"
    assert "app/app.py" in image("diff", old, new, "--exit-code", code=1)


def test_a_dockerfile_has_every_pin(built: tuple[Path, Path], base_folder: Path, store: Store) -> None:
    project = built[0].parent / "greeter"
    text = image("dockerfile", str(project), "--base", f"oci:{base_folder}", "--cache", str(store.folder))
    assert "grpcio==" in text
    assert text.count("--hash=sha256:") >= len(json.loads(image("inspect", str(built[0]), "--json"))[0]["packages"])
    assert 'CMD ["worker", "app:worker"]' in text
    hub = image("dockerfile", str(project), "--hub", "--base", f"oci:{base_folder}", "--cache", str(store.folder))
    assert 'CMD ["hub"]' in hub
    assert "COPY . /app" not in hub


def test_a_compose_file_is_limited_healthy_and_pinned() -> None:
    digest = "sha256:" + "a" * 64
    plan = ComposePlan(
        hub=ComposeService(name="hub", image="registry.example.com/hub", digest=digest, replicas=1),
        workers=[ComposeService(name="greeter", image="registry.example.com/greeter:1", digest="", replicas=3)],
        address="127.0.0.1:7070",
        memory="1g",
        cpus="1.0",
    )
    text = compose(plan)
    assert f'image: "registry.example.com/hub@{digest}"' in text
    assert "replicas: 3" in text
    assert text.count('mem_limit: "1g"') == 2
    assert text.count("healthcheck:") == 2
    assert "hub-data: {}" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("inspect", "no/such/folder:x:y"), "is no image"),
        (("inspect",), "there is no image in build/image"),
        (("push", "--from", "/nowhere"), "is no OCI layout"),
        (("build", "/nowhere"), "does not exist"),
        (("build", "--platform", "windows/amd64"), "cannot build for 'windows/amd64'"),
        (("build", "--load"), "--load needs a --tag"),
        (("compose", "a:1"), "which hub?"),
        (("build", "--tag", "Not An Image"), "is no image"),
    ],
)
def test_mistakes_are_said(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "portcall", "image", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_project_without_a_lock_is_told_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("")
    assert "Make one:" in image("build", str(tmp_path), code=2)
