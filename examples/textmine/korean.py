"""Take Korean words to the form a dictionary would list them under, by a table.

Korean writes its grammar onto the end of a noun: 정부는, 정부가 and 정부를 are all 정부 ("government"), as subject,
topic and object. These endings are called particles (josa). To count 정부 three times, they have to come off.

Whether an ending *is* a particle can be told, most of the time, from the syllable before it: many particles come in a
pair, one for after a consonant and one for after a vowel. 사과 ("apple") does end in 과 ("and"), but 과 follows
consonants only and 사 ends in a vowel, so 사과 is left alone. A syllable's final consonant is read off its code point:
Unicode lays the syllables out in rows of 28, the first of which has none.

A morphological analyser would do better, and would need a dictionary of megabytes. This table is right often enough to
count by, and its mistakes are the same in every document.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

SYLLABLES: Final = "가-힣"
"""The precomposed Hangul syllables, as the inside of a regular expression's character class."""

STEM_SYLLABLES_MIN = 2
"""What is left of a word has at least this many syllables: single ones mean too many things to strip down to."""

_FIRST_SYLLABLE = ord("가")
_SYLLABLES_PER_ROW = 28
_NO_FINAL = 0
_FINAL_RIEUL = 8


class _Last(Enum):
    """How the syllable before a particle ends."""

    VOWEL = "vowel"
    RIEUL = "ㄹ"
    CONSONANT = "any other consonant"


_VOWEL = frozenset({_Last.VOWEL})
_CONSONANT = frozenset({_Last.RIEUL, _Last.CONSONANT})
_VOWEL_OR_RIEUL = frozenset({_Last.VOWEL, _Last.RIEUL})
_CONSONANT_BUT_RIEUL = frozenset({_Last.CONSONANT})
_ANY = frozenset(_Last)

_ENDINGS_AFTER = (
    # Particles that come in pairs: subject, topic, object, "and", "or", "called", "is".
    (_VOWEL, "가 는 를 와 와의 와는 라는 라고 란 라도 며 였다"),
    (_CONSONANT, "이 은 을 과 과의 과는 이나 이라는 이라고 이란 이라도 이며 이었다"),
    # "By means of", "towards": the one pair that counts ㄹ with the vowels.
    (_VOWEL_OR_RIEUL, "로 로의 로는 로도 로서 로써 로부터"),
    (_CONSONANT_BUT_RIEUL, "으로 으로의 으로는 으로도 으로서 으로써 으로부터"),
    # Particles that do not care: "of", "at", "from", "to", "until", "even", "only", "than", "like".
    (_ANY, "의 에 에서 에서의 에서는 에서도 에게 에게서 에게는 에는 에도 에만 께서 한테 까지 까지는 까지도"),
    (_ANY, "부터 부터는 도 만 만이 만을 마다 보다 처럼 조차 마저 밖에 이다 입니다 이고 만큼"),
    # 하다 ("do") and 되다 ("become") make a verb of a noun: 사용 is "use", 사용하는 "using".
    (_ANY, "하다 하는 하고 하여 하며 하면 하기 하지 하게 하도록 한 할 함 한다 합니다"),
    (_ANY, "해서 해야 했다 했던 했고 했습니다"),
    (_ANY, "되다 되는 되고 되어 되며 되면 되기 되지 됐다 되었다 되었던 된다 된 될 됨 됩니다 되었습니다 되도록"),
)
_ALLOWED_BEFORE: Mapping[str, frozenset[_Last]] = MappingProxyType(
    {ending: allowed for allowed, endings in _ENDINGS_AFTER for ending in endings.split()}
)
_ENDING_SYLLABLES_MAX = max(map(len, _ALLOWED_BEFORE))

_PLURAL = "들"

_LOOKALIKES = tuple(
    """
    주의 회의 강의 논의 협의 합의 정의 동의
    고양이 어린이 젊은이 호랑이 원숭이 종이 길이 높이 깊이 놀이
    경기도 강원도 제주도 한반도 신뢰도 만족도 난이도 정확도 중요도 제도 속도 온도 지도 태도 밀도 각도 용도 의도 시도
    결과 성과 학과 도로 경로 회로 진로 통로 휴가 추가 제한 권한 북한 역할
    """.split()  # noqa: SIM905 - words read better than quotation marks
)
"""Ends of words that only look as if they carried a particle, also in compounds, as in 민주주의 ("democracy")."""


def stem(word: str) -> str:
    """Return the word without its particle and plural, or the word itself.

    `word` is made of Hangul syllables only. What is returned is never shorter than `STEM_SYLLABLES_MIN`, unless `word`
    is.
    """
    bare = _without_particle(word)
    if bare.endswith(_PLURAL) and len(bare) > STEM_SYLLABLES_MIN:
        return bare[: -len(_PLURAL)]
    return bare


def is_particle(word: str) -> bool:
    """Whether the word is nothing but an ending, as 에서 is once API is cut off API에서."""
    return word in _ALLOWED_BEFORE


def _without_particle(word: str) -> str:
    if word.endswith(_LOOKALIKES):
        return word
    # The longest ending wins: 에서는 is one particle on top of another, and 는 alone would leave 에서 behind.
    for length in range(min(_ENDING_SYLLABLES_MAX, len(word) - STEM_SYLLABLES_MIN), 0, -1):
        allowed = _ALLOWED_BEFORE.get(word[-length:])
        if allowed is not None and _last_of(word[-length - 1]) in allowed:
            return word[:-length]
    return word


def _last_of(syllable: str) -> _Last:
    final = (ord(syllable) - _FIRST_SYLLABLE) % _SYLLABLES_PER_ROW
    if final == _NO_FINAL:
        return _Last.VOWEL
    return _Last.RIEUL if final == _FINAL_RIEUL else _Last.CONSONANT
