"""Tests of the minimum length of a deferral, which grows with the number of recent deferrals."""

import asyncio

import pytest

from taskruns_airflow import trigger
from taskruns_airflow.trigger import MinimumDeferral, minimum_seconds


@pytest.mark.parametrize(("recent", "seconds"), [(-1, 8.0), (0, 8.0), (40, 18.0), (500, 30.0)])
def test_the_minimum_grows_with_recent_deferrals_up_to_a_limit(recent: int, seconds: float) -> None:
    assert minimum_seconds(recent) == seconds


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_recent_deferrals_count(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []

    def no_time(recent: int) -> float:
        counted.append(recent)
        return 0.0

    monkeypatch.setattr(trigger, "minimum_seconds", no_time)
    trigger._recent_starts.clear()
    trigger._recent_starts.append(now() - 3600)
    first = MinimumDeferral()
    for _ in range(3):
        MinimumDeferral()
    await first.over()
    assert counted == [3]


async def test_the_minimum_is_counted_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trigger, "_MIN_SECONDS", 0.2)
    monkeypatch.setattr(trigger, "_SECONDS_PER_DEFERRAL", 0.0)
    began = now()
    await MinimumDeferral().over()
    assert now() - began >= 0.19
