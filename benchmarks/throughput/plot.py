"""Plots as SVG: horizontal bars, one panel for each workload with a scale of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.throughput.figures import Summary

WIDTH, LEFT, RIGHT = 760, 170, 90
ROW, BAR, HEAD = 24, 16, 30
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#222222")
"""Paul Tol's bright palette, which people with colour-vision deficiencies can distinguish."""
FONT = "font-family='Helvetica, Arial, sans-serif' font-size='12'"
_LETTER = 7
"""Approximate width of a letter in the legend."""

Bar = tuple[str, Sequence[tuple[str, float]]]
"""Label of a bar, and the names and lengths of its segments."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars with a common scale."""

    title: str
    bars: Sequence[Bar]
    unit: str

    @property
    def height(self) -> int:
        """Height in pixels."""
        return HEAD + ROW * len(self.bars) + 10

    @property
    def longest(self) -> float:
        """Length of the longest bar."""
        return max((sum(size for _, size in segments) for _, segments in self.bars), default=0.0)


def pictures(
    summaries: Sequence[Summary], titles: Mapping[str, str], names: Mapping[str, str]
) -> dict[str, str]:
    """Return all plots by name."""

    def panels(segments: Callable[[Summary], list[tuple[str, float]]], unit: str) -> list[Panel]:
        made = []
        for workload, title in titles.items():
            mine = [each for each in summaries if each.workload == workload]
            bars = [(names[each.system], segments(each)) for each in mine]
            made += [Panel(title, bars, unit)] if bars else []
        return made

    return {
        "rate": draw("Runs per second", panels(_rate, "runs/s")),
        "latency": draw("Create to done: p50 and p99", panels(_latency, "s")),
        "cpu": draw("Processor time per run", panels(_cpu, "ms")),
    }


def _rate(summary: Summary) -> list[tuple[str, float]]:
    return [("runs/s", summary.rate.median)]


def _latency(summary: Summary) -> list[tuple[str, float]]:
    duration = summary.duration("create to done")
    if not duration:
        return []
    return [("p50", duration.p50), ("up to p99", duration.p99 - duration.p50)]


def _cpu(summary: Summary) -> list[tuple[str, float]]:
    return [(name, summary.cpu(name)) for name in summary.components]


def draw(title: str, panels: Sequence[Panel]) -> str:
    """Return an SVG document with panels below each other."""
    kinds = [*dict.fromkeys(n for p in panels for _, parts in p.bars for n, _ in parts)]
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(kinds)}
    parts, top = [_text(10, 20, title, "font-weight='bold'")], 30
    if len(kinds) > 1:
        parts += _legend(colours, top)
        top += ROW
    for panel in panels:
        parts += _panel(panel, colours, top)
        top += panel.height
    size = f"width='{WIDTH}' height='{top}' viewBox='0 0 {WIDTH} {top}'"
    background = f"<rect width='{WIDTH}' height='{top}' fill='white'/>"
    head = f"<svg xmlns='http://www.w3.org/2000/svg' {size} {FONT}>"
    return "\n".join([head, background, *parts, "</svg>"]) + "\n"


def _panel(panel: Panel, colours: Mapping[str, str], top: int) -> list[str]:
    parts = [_text(10, top + 20, panel.title)]
    scale = (WIDTH - LEFT - RIGHT) / panel.longest if panel.longest else 0.0
    for number, (label, segments) in enumerate(panel.bars):
        y, x = top + HEAD + number * ROW, float(LEFT)
        parts.append(_text(LEFT - 8, y + 13, label, "text-anchor='end'"))
        for name, size in segments:
            place = f"x='{x:.1f}' y='{y}' width='{size * scale:.1f}' height='{BAR}'"
            hint = f"<title>{escape(name)}: {size:.2f} {panel.unit}</title>"
            parts.append(f"<rect {place} fill='{colours[name]}'>{hint}</rect>")
            x += size * scale
        total = sum(size for _, size in segments)
        parts.append(_text(round(x) + 6, y + 13, f"{total:.3g} {panel.unit}"))
    return parts


def _legend(colours: Mapping[str, str], top: int) -> list[str]:
    parts, x = [], 10
    for name, colour in colours.items():
        parts.append(f"<rect x='{x}' y='{top}' width='10' height='10' fill='{colour}'/>")
        parts.append(_text(x + 14, top + 10, name))
        x += 14 + _LETTER * len(name) + 12
    return parts


def _text(x: int, y: int, text: str, attributes: str = "") -> str:
    return f"<text x='{x}' y='{y}' {attributes}>{escape(text)}</text>"
