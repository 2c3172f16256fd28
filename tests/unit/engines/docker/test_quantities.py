"""Quantities: conversion, and refusal of invalid values with advice."""

from typing import Any

import pytest

from taskruns.core.unstructured import read_quantity
from taskruns.engines.docker.container import container_of
from taskruns.engines.docker.fields import Unsupported, is_amount, is_size, nano_cpus, size_in_bytes

NOT_READ = ["2g", "512MB", "1 Gi", "NaN", "inf", "-1", "-512Mi", "1e99", "1e999999999E", "x", True]


@pytest.mark.parametrize("value", NOT_READ)
def test_an_invalid_quantity_is_rejected(value: object) -> None:
    assert not is_amount(value)
    assert not is_size(value)


@pytest.mark.parametrize("value", ["512m", "64000m", "1u", "3n"])
def test_thousandths_of_a_byte_are_not_a_size(value: str) -> None:
    assert not is_size(value)
    assert is_amount(value)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("512Mi", 2**29),
        ("1.5Ki", 1536),
        ("0.3Ki", 308),
        (67108864, 2**26),
        ("1e3", 1000),
        ("128974848000m", 128974848),
        ("0", 0),
    ],
)
def test_sizes_are_rounded_up_to_bytes(value: object, size: int) -> None:
    assert is_size(value)
    assert size_in_bytes(value) == size


@pytest.mark.parametrize(("value", "cpus"), [("500m", 5 * 10**8), (2, 2 * 10**9), ("1n", 1)])
def test_cpus_are_converted_to_billionths(value: object, cpus: int) -> None:
    assert nano_cpus(value) == cpus


def test_a_quantity_out_of_range_is_rejected() -> None:
    assert read_quantity("1e999999E") is None


def spec(part: str, value: object) -> dict[str, Any]:
    main: dict[str, Any] = {"name": "main", "image": "i"}
    empty = {"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    if part == "sizeLimit":
        empty["emptyDir"]["sizeLimit"] = value  # type: ignore[assignment]
    else:
        main["resources"] = {part: {"memory": value}}
    return {"containers": [main], "volumes": [{"name": "v", **empty}]}


@pytest.mark.parametrize("part", ["sizeLimit", "limits", "requests"])
@pytest.mark.parametrize("value", [*NOT_READ, "512m"])
def test_an_invalid_size_is_refused(part: str, value: object) -> None:
    pod = {"metadata": {"name": "p"}, "spec": spec(part, value)}
    with pytest.raises(Unsupported, match="such as 512Mi"):
        container_of(pod)
