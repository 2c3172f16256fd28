"""How times and other people's words are written."""

from datetime import datetime, timedelta

from taskruns.core.unstructured import moment

NOTHING = "-"


def plain(words: str) -> str:
    """Return a text that does nothing to a terminal: a log's last words may hold anything."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        for letter in words
    )


def age(since: object, now: datetime) -> str:
    """Say how long ago something was, in one or two units."""
    found = moment(since)
    return NOTHING if found is None else length(now - found)


def length(time: timedelta) -> str:
    """Say how long something takes, in one or two units."""
    seconds = max(int(time.total_seconds()), 0)
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds % 60, "s")]
    said = [f"{number}{unit}" for number, unit in parts if number]
    return "".join(said[:2]) or "0s"
