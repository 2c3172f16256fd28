"""The one place of the command line that reads the clock."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the time of this moment, in UTC."""
    return datetime.now(UTC)
