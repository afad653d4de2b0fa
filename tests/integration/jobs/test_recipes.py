"""What docs/jobs.md and docs/testing.md show is the example's code, and it works."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import pytest

import portcall
from portcall.testing import Fleet

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "crawler"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    before = set(sys.modules)
    yield {name: importlib.import_module(name) for name in ("app", "recipes", "test_crawler", "crawl_pb2_grpc")}
    for name in set(sys.modules) - before:
        if name in {"app", "recipes", "test_crawler"}:
            del sys.modules[name]


@pytest.mark.parametrize("page", ["jobs.md", "testing.md"])
def test_pages_show_the_code_of_the_example(page: str) -> None:
    code = "\n".join(path.read_text() for path in sorted(EXAMPLE.glob("*")) if path.suffix in {".py", ".proto"})
    blocks = re.findall(
        r"^```(?:python|proto)\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL
    )
    assert blocks
    for block in blocks:
        assert block in code


@pytest.fixture
async def crawler(portcall_fleet: Fleet, example: dict[str, ModuleType]) -> Any:
    channel = portcall_fleet.channel()
    await portcall_fleet.serve(example["crawl_pb2_grpc"].add_CrawlerServicer_to_server, example["app"].Crawler(channel))
    return example["crawl_pb2_grpc"].CrawlerStub(channel)


async def test_recipes_work(crawler: Any, example: dict[str, ModuleType], capsys: pytest.CaptureFixture[str]) -> None:
    recipes = example["recipes"]
    request = recipes.CrawlRequest(site="a.example", path="/")
    assert await recipes.first_steps(crawler) == 10
    job = await crawler.Crawl.submit(request)
    assert (await recipes.elsewhere(crawler, job.id)).words == 10
    assert (await recipes.pipeline(crawler)).words == 10
    sites = [f"{number}.example" for number in range(10)]
    assert await recipes.fan_out(crawler, sites) == await recipes.fan_out(crawler, sites) == 100
    report = await crawler.Report.submit(recipes.ReportRequest(site="a.example", paths=["/", "/news"]))
    await recipes.follow(report)
    late = await crawler.Crawl.submit(request, delay=3_600)
    assert await recipes.give_up(late) is None
    capsys.readouterr()
    await recipes.as_they_end([late, job])
    shown = sorted(capsys.readouterr().out.splitlines())
    assert shown[0].startswith(f"{late.id} CANCELLED")
    assert shown[1:] == ["10"]


async def test_the_workflow_goes_on_where_it_was(crawler: Any, example: dict[str, ModuleType]) -> None:
    recipes = example["recipes"]
    report = await crawler.Report.submit(recipes.ReportRequest(site="a.example", paths=["/", "/news"]))
    assert (await report).words == 24
    told = [event async for event in report.events() if isinstance(event, portcall.jobs.Progressed)]
    assert told[-1].note == "/news"


async def test_the_examples_own_test_passes(portcall_fleet: Fleet, example: dict[str, ModuleType]) -> None:
    await example["test_crawler"].test_a_crawl_waits_for_its_day(portcall_fleet)


async def test_options_of_the_contract_hold(crawler: Any, example: dict[str, ModuleType]) -> None:
    request = example["recipes"].CrawlRequest(site="a.example", path="/")
    job = await crawler.Crawl.submit(request)
    await job
    assert (await job.status()).value == "a.example"
    with pytest.raises(portcall.SubmitError) as raised:
        await crawler.Crawl.submit(request, attempt_timeout=3_600)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
