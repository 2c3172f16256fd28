"""Readers of untyped JSON: they return a value of the expected type, or None."""

from typing import Any

import pytest

from taskruns.core import unstructured
from tests.support.builders.objects import T0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-01-01T12:00:00Z", 0),
        ("2026-01-01T12:00:00.5Z", 0.5),
        ("2026-01-01T13:00:01+01:00", 1),
    ],
)
def test_a_time_is_parsed_with_its_offset(text: str, seconds: float) -> None:
    time = unstructured.moment(text)
    assert time is not None
    assert (time - T0).total_seconds() == seconds


@pytest.mark.parametrize(
    "value",
    [
        None,
        17,
        "",
        "soon",
        "2026-01-01T12:00:00",
        "1970-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
    ],
)
def test_an_invalid_time_is_none(value: Any) -> None:
    assert unstructured.moment(value) is None


@pytest.mark.parametrize("value", [True, False, 1.0, "1", None, []])
def test_a_value_other_than_an_integer_is_none(value: Any) -> None:
    assert unstructured.number(value) is None


def test_integers_are_returned_unchanged() -> None:
    assert [unstructured.number(value) for value in (0, -1, 10**40)] == [0, -1, 10**40]


@pytest.mark.parametrize("value", [None, 1, "text", b"bytes", {"a": 1}])
def test_a_value_other_than_a_list_has_no_items(value: Any) -> None:
    assert unstructured.mappings(value) == ()
    assert unstructured.strings(value) == ()


def test_items_of_another_type_are_dropped() -> None:
    odd: list[Any] = [{"a": 1}, "text", None, 3, []]
    assert unstructured.mappings(odd) == ({"a": 1},)
    assert unstructured.strings(odd) == ("text",)
