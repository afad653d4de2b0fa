"""What the README shows is what there is, and it works as shown."""

import re
import sys
from pathlib import Path

import pytest

from .processes import Processes

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLES = ROOT / "examples"


@pytest.mark.parametrize("name", ["app.py", "client.py", "script.py"])
def test_code_is_the_examples(name: str) -> None:
    assert f"```python\n{(EXAMPLES / 'greeter' / name).read_text()}```\n" in README


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


async def test_three_terminals_of_the_greeter(processes: Processes) -> None:
    hub = await processes.hub()
    folder = EXAMPLES / "greeter"
    await processes.worker("app:worker", hub, folder=folder)
    for name in ("client.py", "script.py"):
        client = await processes.spawn(sys.executable, str(folder / name), PORTCALL_HUB=hub.address)
        assert await client.wait() == 0, client.stderr
        assert client.stdout == "Hello Ada\nHello Grace\nHello Edsger\nHello Barbara\n"


async def test_three_terminals_of_textmine(processes: Processes, tmp_path: Path) -> None:
    texts, out = tmp_path / "texts", tmp_path / "out"
    texts.mkdir()
    for number in range(5):
        (texts / f"{number}.txt").write_text("A ship has a port to call at. 항구에 배가 있다.\n")
    hub = await processes.hub()
    folder = EXAMPLES / "textmine"
    await processes.worker("app:worker", hub, folder=folder)
    arguments = ("--input", str(texts), "--out", str(out))
    client = await processes.spawn(sys.executable, str(folder / "client.py"), *arguments, PORTCALL_HUB=hub.address)
    assert await client.wait() == 0, client.stderr
    shown = re.findall(r"^\$ python client.py\n(.*?)^```", README, re.MULTILINE | re.DOTALL)[0].splitlines()
    assert [re.sub(r"\d+|\S+/|\S+-\d+ ", "", line) for line in client.stdout.splitlines()] == [
        re.sub(r"\d+|\S+/|\S+-\d+ ", "", line) for line in shown
    ]
    assert {path.name for path in out.iterdir()} == {"result.json", "report.html"}
