"""Results: rows of figures, each beside the one that it is compared with, and the bars that they should clear."""

import statistics
from dataclasses import dataclass
from enum import Enum
from typing import assert_never


class Measure(Enum):
    """What of a row a bar is for; the value is how the bar is written."""

    MEDIAN = "{limit:,g}"
    RATIO = "{limit:,g}x"
    DIFFERENCE = "base + {limit:,g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What a row should reach: a floor or a ceiling."""

    limit: float
    is_floor: bool
    measure: Measure = Measure.MEDIAN

    def __str__(self) -> str:
        return f"{'≥' if self.is_floor else '≤'} {self.measure.value.format(limit=self.limit)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure of one contender, from several rounds."""

    group: str
    case: str
    contender: str
    figure: str
    unit: str
    values: tuple[float, ...]
    base: "Row | None" = None
    """What it is compared with: measured in the same rounds, in turns with it."""

    bars: tuple[Bar, ...] = ()

    errors: int = 0
    """Calls that failed where none should; they are not in the values."""

    @property
    def median(self) -> float:
        """Return the median over the rounds."""
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """Return the median as a multiple of the base's, if there is a base and it is not zero."""
        if self.base is None or not self.base.median:
            return None
        return self.median / self.base.median

    @property
    def has_passed(self) -> bool | None:
        """Return whether every bar is cleared and no call failed; None if there is no bar and nothing failed."""
        if self.errors:
            return False
        return all(self._clears(bar) for bar in self.bars) if self.bars else None

    def _clears(self, bar: Bar) -> bool:
        match bar.measure:
            case Measure.MEDIAN:
                value = self.median
            case Measure.RATIO:
                value = self.ratio or 0.0
            case Measure.DIFFERENCE:
                value = self.median - (self.base.median if self.base else 0.0)
            case _:
                assert_never(bar.measure)
        return value >= bar.limit if bar.is_floor else value <= bar.limit


def at_least(limit: float, measure: Measure = Measure.MEDIAN) -> Bar:
    """Return a floor."""
    return Bar(limit=limit, is_floor=True, measure=measure)


def at_most(limit: float, measure: Measure = Measure.MEDIAN) -> Bar:
    """Return a ceiling."""
    return Bar(limit=limit, is_floor=False, measure=measure)
