from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskruns.engines.kubernetes import quota


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
def test_quantities_are_read_as_kubernetes_writes_them(text: str, value: str) -> None:
    assert quota.quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "x", "1x", "Ki", "1.2.3", "1 Gi"])
def test_what_is_no_quantity_is_nothing(text: str) -> None:
    assert quota.quantity(text) is None


def message(requested: str, limited: str) -> str:
    return f"exceeded quota: q, requested: {requested}, used: pods=0, limited: {limited}"


@pytest.mark.parametrize(
    ("requested", "limited", "fits"),
    [
        ("pods=1", "pods=1", True),
        ("pods=2", "pods=1", False),
        ("limits.cpu=1,pods=1", "limits.cpu=900m,pods=9", False),
        ("limits.memory=1Gi", "limits.memory=1G", False),
        ("requests.nvidia.com/gpu=1", "requests.nvidia.com/gpu=0", False),
        ("pods=odd", "pods=1", True),
        ("pods=1", "services=0", True),
    ],
)
def test_a_request_above_the_limit_can_never_fit(requested: str, limited: str, fits: bool) -> None:  # noqa: FBT001
    assert quota.could_fit(message(requested, limited)) is fits


@given(st.text())
def test_no_sentence_is_too_odd(text: str) -> None:
    assert isinstance(quota.could_fit(f"exceeded quota: {text}"), bool)
    quota.quantity(text)
