"""From text to terms: English, Korean, HTML, source code, and what is none of them."""

import unicodedata

import korean
import pytest
import terms
from terms import Kind


def counted(text: str, kind: Kind = Kind.TEXT) -> dict[str, int]:
    return dict(terms.extract(text, kind).counts)


def test_english_is_lower_case_without_stop_words_numbers_and_single_letters() -> None:
    assert counted("The harbour, the Harbour's cranes: 12 of them, 0xFF, and a b.") == {"harbour": 2, "cranes": 1}


def test_other_alphabets_are_words_too() -> None:
    assert counted("Größe café Жизнь") == {"größe": 1, "café": 1, "жизнь": 1}


@pytest.mark.parametrize(
    ("identifier", "parts"),
    [
        ("load_cargo", {"load", "cargo"}),
        ("loadCargo", {"load", "cargo"}),
        ("HTTPServer", {"http", "server"}),
        ("parseXMLDocument", {"parse", "xml", "document"}),
        ("__base64_decode__", {"base64", "decode"}),
        ("SHA256Digest", {"sha256", "digest"}),
        ("MAX_DEPTH", {"max", "depth"}),
    ],
)
def test_identifiers_are_split(identifier: str, parts: set[str]) -> None:
    assert counted(identifier, Kind.SOURCE).keys() == parts


def test_source_code_has_no_keywords_and_no_escapes() -> None:
    code = 'def greet(self, name):\n    return "\\nhello \\u0410" + name\n'
    assert counted(code, Kind.SOURCE) == {"greet": 1, "hello": 1, "name": 2}


def test_a_keyword_of_source_code_is_a_word_in_text() -> None:
    assert counted("a class of its own return") == {"class": 1, "return": 1}


def test_html_is_read_as_a_browser_shows_it() -> None:
    page = (
        "<style>body{color:red}</style><p>Ships &amp; <b>car</b>go</p><td>lift</td><td>crane</td><script>hid()</script>"
    )
    assert counted(page, Kind.HTML) == {"ships": 1, "cargo": 1, "lift": 1, "crane": 1}


def test_broken_html_is_read_as_far_as_it_goes() -> None:
    assert counted("</script></p><p>harbour <b>cranes", Kind.HTML) == {"harbour": 1, "cranes": 1}


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        ("정부는", "정부"),  # after a vowel
        ("정책은", "정책"),  # after a consonant
        ("학교에서는", "학교"),  # the longest particle wins
        ("서울로", "서울"),  # ㄹ goes with the vowels before 로
        ("집안으로", "집안"),
        ("사람들은", "사람"),  # plural under a particle
        ("사용하는", "사용"),  # a verb made of a noun
        ("발표했다", "발표"),
        ("수박과", "수박"),
        ("저녁노을", "저녁노을"),  # 을 follows consonants only
        ("고양이", "고양이"),  # looks like a particle, is none
        ("고양이가", "고양이"),
        ("민주주의", "민주주의"),
        ("민주주의의", "민주주의"),
        ("사과", "사과"),  # too short to strip
        ("이", "이"),
    ],
)
def test_korean_words_lose_their_particle(word: str, stem: str) -> None:
    assert korean.stem(word) == stem


def test_korean_and_latin_in_one_token_are_told_apart() -> None:
    assert counted("API에서 gRPC를, gRPC는") == {"api": 1, "rpc": 2}


def test_korean_text_counts_a_noun_in_all_its_forms() -> None:
    assert counted("정부는 정책을, 정부가 그리고 정부의 정책이다.") == {"정부": 3, "정책": 2}


def test_decomposed_hangul_is_the_same_word() -> None:
    assert counted(unicodedata.normalize("NFD", "정부는")) == {"정부": 1}


def test_encoded_data_is_no_word() -> None:
    assert counted("QUJD" * 40 + " harbour") == {"harbour": 1}


def test_a_rich_document_keeps_its_most_frequent_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terms, "TERMS_PER_DOCUMENT_MAX", 2)
    extracted = terms.extract("sea sea sea wind wind wave", Kind.TEXT)
    assert list(extracted.counts.items()) == [("sea", 3), ("wind", 2)]
    assert extracted.total == 6
