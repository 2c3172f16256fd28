"""What a panel of the dashboard is, before it is Grafana's."""

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """How a panel shows its answer, in Grafana's words."""

    STAT = "stat"
    LINES = "timeseries"
    BARS = "bargauge"


@dataclass(frozen=True, slots=True)
class Query:
    """One question and what its series are called."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. Thresholds are the values from which it is yellow and red."""

    title: str
    meaning: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Kind = Kind.LINES
    thresholds: tuple[float | None, float | None] = (None, None)
    stacked: bool = False
    words: dict[int, tuple[str, str]] = field(default_factory=dict)
    """By a value, the word and the colour to show instead."""
    decimals: int | None = None
    """Digits after the point; None leaves them to Grafana. An increase is an estimate."""
    names_only: bool = False
    """A stat that shows the legend and no number."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of panels of one size, in Grafana's grid of 24 columns."""

    title: str
    panels: tuple[Panel, ...]
    height: int = 8

    @property
    def width(self) -> int:
        """Columns for each panel."""
        return 24 // len(self.panels)
