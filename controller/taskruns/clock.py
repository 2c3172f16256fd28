"""The clock. Everything else in the product is told what time it is."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the time of this moment, in UTC."""
    return datetime.now(UTC)
