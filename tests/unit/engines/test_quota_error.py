"""Parsing of the apiserver's quota errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskruns.engines.quota_queue import QuotaError, parse_quota_error

PREFIX = 'pods "hello-1" is forbidden: '


def quota_error(requested: str, limited: str) -> QuotaError:
    numbers = f"requested: {requested}, used: pods=0, limited: {limited}"
    error = parse_quota_error(f"{PREFIX}exceeded quota: small, {numbers}")
    assert error is not None
    return error


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
    assert quota_error(requested, limited).could_fit is fits


def test_the_quota_is_named_and_the_pod_is_not() -> None:
    error = quota_error("pods=1", "pods=1")
    assert error.quota == "small"
    assert error.sentence.startswith("exceeded quota: small, requested: pods=1")


@pytest.mark.parametrize(
    ("requested", "counts_pods", "until_gone"),
    [
        ("pods=1", True, False),
        ("count/pods=1", True, True),
        ("count/pods=1,pods=1", True, True),
        ("pods=1,requests.cpu=1", False, False),
        ("requests.memory=1Gi", False, False),
        ("pods=odd", False, False),
    ],
)
def test_the_quota_error_distinguishes_ended_and_deleted_pods(
    requested: str,
    counts_pods: bool,  # noqa: FBT001
    until_gone: bool,  # noqa: FBT001
) -> None:
    error = quota_error(requested, "pods=9")
    assert (error.counts_pods, error.until_gone) == (counts_pods, until_gone)


def test_other_messages_are_no_quota_error() -> None:
    assert parse_quota_error("failed quota: small: must specify limits.memory for: main") is None


@given(st.text())
def test_no_message_raises(text: str) -> None:
    error = parse_quota_error(f"exceeded quota: {text}")
    assert error is not None
    assert error.quota in text
