"""Wrong job options are errors of the compiler, in words, at their places."""

from pathlib import Path

import pytest

from portcall.contract.compile import CompileRequest, compile_protos
from portcall.core.jobs.options import option_faults

HEAD = """\
syntax = "proto3";
package crawl;
import "portcall/v1/options.proto";
message Request { string site = 1; Page page = 2; repeated string tags = 3; bytes raw = 4; double x = 5; }
message Page { string site = 1; }
message Reply {}
service Crawler {
"""


def compiled(tmp_path: Path, methods: str) -> list[tuple[int, int, str]]:
    (tmp_path / "crawl.proto").write_text(f"{HEAD}{methods}\n}}\n")
    compilation = compile_protos(CompileRequest(paths=(tmp_path,), judge=option_faults))
    assert bool(compilation.diagnostics) == compilation.is_failed == (not compilation.texts)
    return [(said.line, said.column, said.words) for said in compilation.diagnostics]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("= { attempts: 0 }", "attempts is 0; it must be 1 to 1,000"),
        (".attempts = 0", "attempts is 0; it must be 1 to 1,000"),
        (
            '= { by: { field: "sight" } }',
            "by.field is 'sight', but crawl.Request has no field 'sight'; it has page, raw, site, tags, x",
        ),
        (
            '.by.field = "page.sight"',
            "by.field is 'page.sight', but crawl.Page has no field 'sight'; it has site",
        ),
    ],
)
def test_a_wrong_option_is_an_error_at_its_place(tmp_path: Path, option: str, words: str) -> None:
    methods = f"  rpc Crawl(Request) returns (Reply) {{\n\n    option (portcall.v1.job){option};\n  }}"
    assert compiled(tmp_path, methods) == [(10, 5, words)]


def test_all_that_is_wrong_is_told(tmp_path: Path) -> None:
    methods = """\
      rpc Up(stream Request) returns (Reply) {
        option (portcall.v1.job) = { deaths: 0 by: { field: "raw" } };
      }
      rpc Down(Request) returns (stream Reply) {
        option (portcall.v1.job).limit.running = 0;
      }"""
    said = compiled(tmp_path, methods)
    assert [(line, words.partition(";")[0]) for line, _, words in said] == [
        (9, "Up takes a stream of requests"),
        (9, "deaths is 0"),
        (9, "by.field is 'raw', but crawl.Request.raw is not a single string, integer, bool or enum"),
        (12, "limit.running is 0, so that no job could ever run"),
    ]


def test_good_options_and_methods_without_them_pass(tmp_path: Path) -> None:
    methods = """\
      rpc Crawl(Request) returns (Reply) {
        option (portcall.v1.job) = { attempts: 8 by: { field: "page.site" limit: { running: 2 } } };
      }
      rpc Down(Request) returns (stream Reply) { option (portcall.v1.job) = {}; }
      rpc Up(stream Request) returns (Reply);"""
    assert compiled(tmp_path, methods) == []


def test_code_of_a_contract_with_options_finds_them_in_portcall(tmp_path: Path) -> None:
    (tmp_path / "crawl.proto").write_text(f"{HEAD}}}")
    texts = compile_protos(CompileRequest(paths=(tmp_path,))).texts
    assert "from portcall.protos.portcall.v1 import options_pb2" in texts["crawl_pb2.py"]
