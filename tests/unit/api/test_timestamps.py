"""Tests of RFC 3339 times with nanoseconds."""

from datetime import UTC, datetime

import pytest

from taskruns.api.timestamps import datetime_of, nanoseconds_of, rfc3339_of


@pytest.mark.parametrize(
    ("time", "nanoseconds"),
    [
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("1970-01-01T02:00:01.000000007+02:00", 1_000_000_007),
        ("1970-01-01T00:00:01Z", 10**9),
        ("no time", None),
        ("", None),
    ],
)
def test_times_with_different_offsets_compare_as_instants(
    time: str, nanoseconds: int | None
) -> None:
    assert nanoseconds_of(time.encode()) == nanoseconds


@pytest.mark.parametrize(
    "text", [b"", b"x", b"2026-13-01T00:00:00Z", b"2026-11-29T01:00:00", b"20261129T010000Z"]
)
def test_a_text_that_is_not_a_time_has_no_nanoseconds(text: bytes) -> None:
    assert nanoseconds_of(text) is None


def test_nanoseconds_give_the_order_of_times() -> None:
    times = [
        b"2026-11-29T01:00:00.09Z",
        b"2026-11-29T03:00:00.1+02:00",
        b"2026-11-29T01:00:00.100000001Z",
    ]
    instants = [nanoseconds_of(time) or 0 for time in times]
    assert [instant - instants[0] for instant in instants] == [0, 10_000_000, 10_000_001]


def test_nanoseconds_become_a_datetime_cut_to_the_microsecond() -> None:
    nanoseconds = nanoseconds_of(b"2026-11-29T01:00:00.123456789Z") or 0
    assert datetime_of(nanoseconds) == datetime(2026, 11, 29, 1, 0, 0, 123456, tzinfo=UTC)


def test_seconds_become_a_time_as_the_apiserver_takes_it() -> None:
    assert rfc3339_of(1_500_000_000) == "2017-07-14T02:40:00Z"
