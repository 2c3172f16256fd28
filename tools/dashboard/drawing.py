"""Drawing of the dashboard, from its definition and from recorded responses of Prometheus.

It imitates Grafana for the three types of panel that the dashboard has. Positions, titles, units,
colours and thresholds come from the definition. It needs only the packages of
`requirements/picture.txt`.

    python -m tools.dashboard.drawing DASHBOARD.json ANSWERS.json PICTURE.png
"""

import json
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tools.dashboard.units import shown

COLUMN, LINE, GAP = 80, 38, 8
"""Size of Grafana's grid cells and of the gap between panels, in pixels."""

HEAD, FOOT, DOTS = 60, 34, 100
PAGE, CARD, GRID, TEXT, FAINT = "#111217", "#1b1e24", "#2c3038", "#dddde6", "#9a9ba8"
COLOURS = {
    "green": "#73bf69",
    "red": "#f2495c",
    "purple": "#b877d9",
    "blue": "#5794f2",
    "light-blue": "#8ab8ff",
    "yellow": "#f2cc0c",
    "light-yellow": "#ffee52",
    "orange": "#ff9830",
    "dark-orange": "#fa6400",
    "text": "#ccccdc",
}
PALETTE = (
    "#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#37872d",
    "#fade2a", "#ca95e5", "#ffa6b0", "#1f60c4",
)  # fmt: skip
HONEST = (
    "Drawn by `make picture` from charts/taskruns/dashboards/taskruns.json and from what a "
    "Prometheus answered while real TaskRuns ran; not a picture of Grafana."
)

Json = dict[str, Any]
Series = list[Json]


class Picture:
    """A figure that is measured in pixels from its upper left corner.

    `times` are the points of every line, in minutes from the beginning.
    """

    def __init__(self, width: int, height: int, times: list[float]) -> None:
        self.width, self.height = width, height
        size = (width / DOTS, height / DOTS)
        self.times = times
        self.figure = Figure(figsize=size, dpi=DOTS, facecolor=PAGE)

    def card(self, x: float, y: float, w: float, h: float) -> None:
        """Draw the background of a panel."""
        place = (x / self.width, 1 - (y + h) / self.height)
        shape = {"boxstyle": "round,pad=0,rounding_size=0.0015", "mutation_aspect": 1.0}
        ground = FancyBboxPatch(
            place, w / self.width, h / self.height, fc=CARD, ec=GRID, lw=0.8, zorder=-1, **shape
        )
        self.figure.add_artist(ground)

    def write(self, x: float, y: float, text: str, **how: Any) -> None:
        """Write a text at a point."""
        how = {"color": TEXT, "fontsize": 9, "va": "center"} | how
        self.figure.text(x / self.width, 1 - y / self.height, text, **how)

    def axes(self, x: float, y: float, w: float, h: float) -> Axes:
        """Add axes in a rectangle."""
        size = (w / self.width, h / self.height)
        place = (x / self.width, 1 - (y + h) / self.height, *size)
        return self.figure.add_axes(place, facecolor="none")


def draw(dashboard: Json, answers: Json) -> Figure:
    """Draw every panel at its position."""
    lines = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    picture = Picture(24 * COLUMN + GAP, HEAD + lines * LINE + FOOT, answers["times"])
    picture.write(16, HEAD / 2, dashboard["title"], fontsize=17, weight="bold")
    taken = f"the last {answers['times'][-1]:.0f} minutes"
    picture.write(picture.width - 16, HEAD / 2, taken, fontsize=11, color=FAINT, ha="right")
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        x, y = place["x"] * COLUMN + GAP, HEAD + place["y"] * LINE
        w, h = place["w"] * COLUMN - GAP, place["h"] * LINE - GAP
        if panel["type"] == "row":
            picture.write(x + 6, y + h / 2 + 2, panel["title"], fontsize=12, weight="bold")
            continue
        picture.card(x, y, w, h)
        picture.write(x + 10, y + 15, panel["title"], fontsize=10)
        series = answers["panels"][str(panel["id"])]
        _DRAWN[panel["type"]](picture, panel, series, (x, y, w, h))
    picture.write(16, picture.height - FOOT / 2, HONEST, fontsize=9.5, color=FAINT)
    return picture.figure


Box = tuple[float, float, float, float]


def _stat(picture: Picture, panel: Json, series: Series, box: Box) -> None:
    x, y, w, h = box
    defaults = panel["fieldConfig"]["defaults"]
    if panel["options"]["textMode"] == "name":
        text, colour = ", ".join(each["legend"] for each in series), COLOURS["text"]
    else:
        value = _rounded(series[0]["values"][-1][1], defaults) if series else math.nan
        text, colour = shown(value, defaults["unit"]), _threshold_colour(value, defaults)
        for mapping in defaults.get("mappings", ()):
            word = mapping["options"].get(f"{value:g}")
            if word is not None:
                text, colour = word["text"], COLOURS[word["color"]]
    size = {"fontsize": 23, "weight": "bold"}
    picture.write(x + w / 2, y + h / 2 + 12, text, color=colour, ha="center", **size)


def _rounded(value: float, defaults: Mapping[str, Any]) -> float:
    digits: int = defaults.get("decimals", 6)
    return round(value, digits)


def _threshold_colour(value: float, defaults: Mapping[str, Any]) -> str:
    steps = defaults["thresholds"]["steps"]
    reached = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return COLOURS[reached[-1]]


def _bars(picture: Picture, panel: Json, series: Series, box: Box) -> None:
    x, y, w, h = box
    defaults = panel["fieldConfig"]["defaults"]
    bars = sorted(
        ((_rounded(each["values"][-1][1], defaults), each["legend"]) for each in series),
        reverse=True,
    )
    most = max((value for value, _ in bars), default=0) or 1
    colours = _colours(panel, [name for _, name in bars])
    room = (h - 44) / max(len(bars), 1)
    axes = picture.axes(x + 116, y + 34, w - 180, h - 46)
    axes.set_axis_off()
    axes.set_xlim(0, most)
    axes.set_ylim(len(bars) - 0.5, -0.5)
    for number, (value, name) in enumerate(bars):
        axes.barh(number, most, height=0.5, color=GRID)
        axes.barh(number, value, height=0.5, color=colours[name])
        middle = y + 34 + (h - 46) * (number + 0.5) / len(bars)
        picture.write(x + 106, middle, name, ha="right", fontsize=min(9.5, room))
        picture.write(
            x + w - 54, middle, shown(value, defaults["unit"]), color=colours[name], weight="bold"
        )


def _lines(picture: Picture, panel: Json, series: Series, box: Box) -> None:
    x, y, w, h = box
    defaults = panel["fieldConfig"]["defaults"]
    names = [each["legend"] for each in series]
    per_line = _fitting(names, w)
    legend = 17 * math.ceil(len(names) / per_line)
    axes = picture.axes(x + 58, y + 36, w - 82, h - 36 - 30 - legend)
    colours = _colours(panel, names)
    if defaults["custom"]["stacking"]["mode"] == "normal":
        _stack(axes, picture.times, series, colours)
    else:
        for each in series:
            times, values = zip(*each["values"], strict=True)
            axes.plot(times, values, color=colours[each["legend"]], lw=1.6)
    _dress(axes, defaults)
    axes.set_xlim(0, picture.times[-1])
    if not series:
        axes.text(0.5, 0.5, "nothing", color=FAINT, transform=axes.transAxes, ha="center")
        return
    handles = [mpl.lines.Line2D([], [], color=colours[name], lw=4) for name in names]
    axes.legend(
        handles, names, ncol=per_line, loc="upper left", frameon=False, fontsize=8.5,
        bbox_to_anchor=(-52 / (w - 82), -24 / (h - 66 - legend)), borderaxespad=0,
        labelcolor=TEXT, handlelength=0.9, columnspacing=1.1, handletextpad=0.5, labelspacing=0.35,
    )  # fmt: skip


def _stack(axes: Axes, times: list[float], series: Series, colours: Mapping[str, str]) -> None:
    below = [0.0] * len(times)
    for each in series:
        known = {time: 0.0 if math.isnan(v) else v for time, v in each["values"]}
        above = [base + known.get(t, 0.0) for base, t in zip(below, times, strict=True)]
        colour = colours[each["legend"]]
        axes.fill_between(times, below, above, color=colour, alpha=0.45, lw=0)
        edge = [
            top if known.get(time) else math.nan for time, top in zip(times, above, strict=True)
        ]
        axes.plot(times, edge, color=colour, lw=1.2)
        below = above


def _dress(axes: Axes, defaults: Json) -> None:
    unit = defaults["unit"]
    highest = axes.get_ylim()[1]
    axes.set_ylim(0, highest if axes.has_data() and highest > 0 else 1)
    for step in defaults["thresholds"]["steps"]:
        if defaults["custom"]["thresholdsStyle"]["mode"] != "off" and step["value"]:
            axes.axhline(step["value"], color=COLOURS[step["color"]], ls=(0, (4, 4)), lw=1)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, unit)))
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} min"))
    axes.grid(color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=FAINT, labelsize=8, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _fitting(names: list[str], width: float) -> int:
    """Return how many legend entries fit on one line."""
    longest = max((len(name) for name in names), default=1)
    return max(1, min(len(names) or 1, int((width - 16) / (longest * 6.0 + 28))))


def _colours(panel: Json, names: list[str]) -> dict[str, str]:
    fixed = {
        each["matcher"]["options"]: COLOURS[each["properties"][0]["value"]["fixedColor"]]
        for each in panel["fieldConfig"]["overrides"]
    }
    free = (colour for colour in PALETTE * len(names) if colour not in fixed.values())
    return {name: fixed.get(name) or next(free) for name in names}


_DRAWN: Mapping[str, Callable[[Picture, Json, Series, Box], None]] = {
    "stat": _stat,
    "bargauge": _bars,
    "timeseries": _lines,
}


def main(dashboard: str, answers: str, target: str) -> None:
    """Draw a dashboard file and a file of responses into a picture."""
    mpl.rcParams["font.family"] = "DejaVu Sans"
    figure = draw(json.loads(Path(dashboard).read_text()), json.loads(Path(answers).read_text()))
    # The file must not depend on the machine or the time.
    figure.savefig(target, metadata={"Software": None})


if __name__ == "__main__":
    main(*sys.argv[1:])
