"""Durations: parsed to the millisecond, written back, and limited to what CEL can represent."""

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskruns.api.v1alpha1.model import (
    DURATION_PATTERN,
    MAX_DURATION_LENGTH,
    format_duration,
    parse_duration,
)

MOST_OF_GO = timedelta(microseconds=2**63 / 1000)
"""Longest duration of Go, which counts nanoseconds in 64 bits; CEL uses Go's durations."""

durations = st.integers(0, 3_600_000 * 999_999).map(lambda ms: timedelta(milliseconds=ms))
accepted = st.from_regex(DURATION_PATTERN.strip("^$"), fullmatch=True).filter(
    lambda text: len(text) <= MAX_DURATION_LENGTH
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("500ms", 0.5),
        ("90s", 90),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("1m1m", 120),
        ("2h3m4s5ms", 7384.005),
    ],
)
def test_a_duration_is_the_sum_of_its_terms(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "-5s",
        "+5s",
        "5 s",
        "s",
        "5d",
        "5us",
        "1e3s",
        ".5s",
        "5.s",
        "5s\n",
        "\N{ARABIC-INDIC DIGIT FIVE}s",
    ],
)
def test_an_invalid_duration_is_rejected_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write a duration such as 30s, 5m or 1h30m"):
        parse_duration(text)
    assert not re.search(DURATION_PATTERN.replace("$", r"\Z"), text)


def test_a_duration_that_overflows_is_rejected() -> None:
    with pytest.raises(ValueError, match="is too long a duration: write a shorter one"):
        parse_duration("99999999999999h")


@given(durations)
def test_a_formatted_duration_parses_to_the_same_value(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(accepted)
def test_a_duration_that_the_crd_accepts_can_be_parsed_here_and_by_cel(text: str) -> None:
    assert timedelta(0) <= parse_duration(text) < MOST_OF_GO


def test_cel_parses_the_longest_duration_that_the_crd_accepts() -> None:
    longest = "999999h999999h99999h"
    assert len(longest) == MAX_DURATION_LENGTH
    assert parse_duration(longest) < MOST_OF_GO


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.25, "250ms"), (90, "1m30s"), (86_400, "24h"), (3601, "1h1s")],
)
def test_a_duration_is_written_with_its_largest_units_first(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text
