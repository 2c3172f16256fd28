"""Types for the panels of the dashboard, independent of Grafana's JSON."""

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """Type of a panel, as Grafana names it."""

    STAT = "stat"
    LINES = "timeseries"
    BARS = "bargauge"


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and the legend of its series."""

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
    """Text and colour to show in place of a value."""
    decimals: int | None = None
    """Digits after the decimal point; None leaves them to Grafana. Increases are estimates."""
    names_only: bool = False
    """Whether a stat shows its legend instead of a number."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of panels of equal size, in Grafana's grid of 24 columns."""

    title: str
    panels: tuple[Panel, ...]
    height: int = 8

    @property
    def width(self) -> int:
        """Width of each panel, in columns."""
        return 24 // len(self.panels)
