import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskruns.engines.kubernetes import quota


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
