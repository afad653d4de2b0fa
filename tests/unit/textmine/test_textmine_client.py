"""The whole pipeline over a real loopback connection."""

from pathlib import Path
from typing import Any

import grpc
import pytest
import textmine_pb2 as pb
from client import EXTRACT_ATTEMPTS_MAX, mine
from results import Counted, Extracted, Listed, MiningOptions, Progress, Ranked
from service import Context, TextMine


class ForgetfulTextMine(TextMine):
    """Is lost over `sea.txt`, so many times."""

    def __init__(self, losses: int) -> None:
        self.losses = losses

    async def Extract(self, request: pb.ExtractRequest, context: Context) -> pb.ExtractReply:
        if request.document_id == "sea.txt" and self.losses:
            self.losses -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "worker lost")
        return await super().Extract(request, context)


class CountlessTextMine(TextMine):
    """Is lost over counting."""

    async def Count(self, requests: Any, context: Context) -> pb.CorpusStatistics:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "worker lost")


async def test_a_corpus_is_mined(serve: Any, corpus: Path) -> None:
    events: list[Progress] = []
    result = await mine(await serve(TextMine()), MiningOptions(root=str(corpus)), events.append)
    assert [document.id for document in result.documents] == ["port.html", "sea.txt", "ship.py", "news/정책.txt"]
    assert {document.id: document.problem for document in result.unmined} == {
        "binary.txt": "binary",
        "broken.txt": "undecodable",
    }
    assert (result.top_terms[0].term, result.top_terms[0].document_count) == ("harbour", 3)
    sea, policy = result.documents[1], result.documents[3]
    assert sea.keywords[0].term == "waves"
    assert [keyword.term for keyword in policy.keywords[:2]] == ["정부", "정책"]
    (share,) = result.workers
    assert (share.document_count, share.term_total) == (4, result.term_total)


async def test_progress_tells_each_step(serve: Any, corpus: Path) -> None:
    events: list[Progress] = []
    await mine(await serve(TextMine()), MiningOptions(root=str(corpus)), events.append)
    assert events[0] == Listed(document_count=6)
    extracted = [event for event in events if isinstance(event, Extracted)]
    assert [event.done for event in extracted] == [1, 2, 3, 4, 5, 6]
    assert [event.document_id for event in extracted if event.problem] == ["binary.txt", "broken.txt"]
    assert [event.document_count for event in events if isinstance(event, Counted)] == [4]
    ranked = [event for event in events if isinstance(event, Ranked)]
    assert max(event.done for event in ranked) == 4
    # Each document comes once on its own; all but the last, whose statistics were complete then, come again.
    assert sorted(event.covered_document_count for event in ranked) == [1, 2, 3, 4, 4, 4, 4]


async def test_a_lost_extraction_is_asked_for_again(serve: Any, corpus: Path) -> None:
    channel = await serve(ForgetfulTextMine(losses=EXTRACT_ATTEMPTS_MAX - 1))
    result = await mine(channel, MiningOptions(root=str(corpus)), lambda _: None)
    assert "sea.txt" in [document.id for document in result.documents]


async def test_an_extraction_that_is_always_lost_is_left_out(serve: Any, corpus: Path) -> None:
    channel = await serve(ForgetfulTextMine(losses=EXTRACT_ATTEMPTS_MAX))
    result = await mine(channel, MiningOptions(root=str(corpus)), lambda _: None)
    assert {document.id: document.problem for document in result.unmined}["sea.txt"] == "UNAVAILABLE: worker lost"


async def test_a_lost_count_ends_the_run_with_its_status(serve: Any, corpus: Path) -> None:
    channel = await serve(CountlessTextMine())
    with pytest.raises(grpc.aio.AioRpcError) as lost:
        await mine(channel, MiningOptions(root=str(corpus)), lambda _: None)
    assert lost.value.details() == "worker lost"


async def test_an_empty_directory_has_an_empty_result(serve: Any, tmp_path: Path) -> None:
    result = await mine(await serve(TextMine()), MiningOptions(root=str(tmp_path)), lambda _: None)
    assert not any((result.documents, result.unmined, result.top_terms, result.workers))
