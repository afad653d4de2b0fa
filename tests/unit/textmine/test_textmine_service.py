"""The service over a real loopback connection: what the contract promises, status codes included."""

from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
import textmine_pb2 as pb
from textmine_pb2_grpc import TextMineStub

TermsOf = Callable[..., pb.DocumentTerms]


async def test_list_streams_documents(stub: TextMineStub, corpus: Path) -> None:
    found = [document async for document in stub.List(pb.ListRequest(root=str(corpus), documents_max=3))]
    assert [(document.id, document.kind) for document in found] == [
        ("binary.txt", pb.KIND_TEXT),
        ("broken.txt", pb.KIND_TEXT),
        ("port.html", pb.KIND_HTML),
    ]
    assert found[0].size_bytes == 7


async def test_extract_replies_with_terms_and_who_found_them(stub: TextMineStub, corpus: Path) -> None:
    reply = await stub.Extract(pb.ExtractRequest(root=str(corpus), document_id="sea.txt"))
    assert dict(reply.terms.counts) == {"waves": 2, "wind": 1, "harbour": 1, "far": 1}
    assert reply.terms.term_total == 5
    assert reply.worker


@pytest.mark.parametrize(
    ("document_id", "skipped"), [("binary.txt", pb.SKIPPED_BINARY), ("broken.txt", pb.SKIPPED_UNDECODABLE)]
)
async def test_what_has_no_text_is_skipped(
    stub: TextMineStub, corpus: Path, document_id: str, skipped: pb.Skipped
) -> None:
    reply = await stub.Extract(pb.ExtractRequest(root=str(corpus), document_id=document_id))
    assert reply.skipped == skipped
    assert not reply.terms.counts


@pytest.mark.parametrize(
    ("document_id", "code"),
    [
        ("../corpus/../outside.txt", grpc.StatusCode.INVALID_ARGUMENT),
        ("/etc/hostname", grpc.StatusCode.INVALID_ARGUMENT),
        ("gone.txt", grpc.StatusCode.NOT_FOUND),
        ("news", grpc.StatusCode.NOT_FOUND),
    ],
)
async def test_extract_refuses(stub: TextMineStub, corpus: Path, document_id: str, code: grpc.StatusCode) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Extract(pb.ExtractRequest(root=str(corpus), document_id=document_id))
    assert refused.value.code() is code
    assert document_id in (refused.value.details() or "")


async def test_list_refuses_a_root_that_is_not_there(stub: TextMineStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        [_ async for _ in stub.List(pb.ListRequest(root="/no/such/place"))]
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_count_answers_once_after_the_last_document(stub: TextMineStub, terms_of: TermsOf) -> None:
    statistics = await stub.Count([terms_of("a", sea=2, port=1), terms_of("b", sea=1)])
    assert [(top.term, top.count) for top in statistics.top_terms] == [("sea", 3), ("port", 1)]
    assert statistics.term_total == 4
    assert dict(statistics.frequencies.documents_by_term) == {"sea": 2}


async def test_rank_answers_while_requests_are_still_being_sent(stub: TextMineStub, terms_of: TermsOf) -> None:
    call = stub.Rank()
    for covered, name in enumerate(("a", "b"), start=1):
        await call.write(pb.RankRequest(document=terms_of(name, sea=1)))
        ranking = await call.read()
        assert (ranking.document_id, ranking.covered_document_count) == (name, covered)
    await call.write(pb.RankRequest(frequencies=pb.DocumentFrequencies(document_count=5)))
    assert [(await call.read()).covered_document_count for _ in "ab"] == [5, 5]
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


async def test_rank_refuses_an_empty_request(stub: TextMineStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        [_ async for _ in stub.Rank([pb.RankRequest()])]
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
