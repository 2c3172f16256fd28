"""Formatting of numbers in the dashboard's units, as Grafana shows them."""

import math

_BINARY = ("B", "KiB", "MiB", "GiB")
_STEP = 1024


def shown(value: float, unit: str) -> str:
    """Return a number with its unit for readers.

    Raises:
        ValueError: the unit is not supported.
    """
    if math.isnan(value):
        return "no data"
    match unit:
        case "short":
            return _plain(value)
        case "reqps":
            return f"{_plain(value)} req/s"
        case "percentunit":
            return f"{_plain(value * 100)} %"
        case "s":
            return _seconds(value)
        case "bytes":
            return _bytes(value)
        case _:
            raise ValueError(f"the unit {unit} is not supported")


def _plain(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"  # noqa: PLR2004 - three digits


def _seconds(value: float) -> str:
    if value == 0:
        return "0 s"
    if abs(value) < 1:
        return f"{_plain(value * 1000)} ms"
    return f"{_plain(value)} s" if abs(value) < 60 else f"{_plain(value / 60)} min"  # noqa: PLR2004


def _bytes(value: float) -> str:
    power = min(int(math.log(value, _STEP)), len(_BINARY) - 1) if value >= 1 else 0
    return f"{_plain(value / _STEP**power)} {_BINARY[power]}"
