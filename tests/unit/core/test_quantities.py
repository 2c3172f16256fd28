"""Parsing of Kubernetes quantities."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskruns.core.unstructured import read_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", "3"),
        ("0", "0"),
        ("1500m", "1.5"),
        ("0.5", "0.5"),
        ("1Ki", "1024"),
        ("2Gi", str(2 * 2**30)),
        ("1G", "1000000000"),
        ("5u", "0.000005"),
        ("7n", "0.000000007"),
        ("1e3", "1000"),
        ("12E", "12000000000000000000"),
    ],
)
def test_quantities_are_parsed_as_in_kubernetes(text: str, value: str) -> None:
    assert read_quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "x", "1x", "Ki", "1.2.3", "1 Gi"])
def test_an_invalid_quantity_is_none(text: str) -> None:
    assert read_quantity(text) is None


@given(st.text())
def test_no_text_raises(text: str) -> None:
    assert read_quantity(text) is None or text
