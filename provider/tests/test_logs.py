"""The log as it is told: in order, attempt after attempt, no line twice, and never in the way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow import logs
from taskruns_airflow.edge import Ref, Refused
from taskruns_airflow.logs import Cursor, LogReader

REF = Ref("jobs", "hello", "uid-1")
BROKEN_OFF = ConnectionResetError()


def line(second: int, text: str, nanosecond: int = 0) -> bytes:
    return f"2026-11-25T04:00:{second:02}.{nanosecond:09}Z {text}".encode()


class Kubelet:
    """Plays the rounds of each Pod's log: lines, and what breaks them off."""

    def __init__(self, **rounds: list[list[Any]]) -> None:
        self.rounds = rounds
        self.asked: list[tuple[str, str]] = []
        self.read_thrice = asyncio.Event()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Any]:
        yield self

    @asynccontextmanager
    async def log(self, pod: str, container: str, since: str = "") -> AsyncIterator[Any]:
        assert container == "main"
        self.asked.append((pod, since))
        if len(self.asked) == 3:
            self.read_thrice.set()
        rounds = self.rounds[pod]
        script = rounds.pop(0) if rounds else []
        if script and isinstance(script[0], Refused):
            raise script[0]

        async def lines() -> AsyncIterator[bytes]:
            for each in script:
                await asyncio.sleep(0)
                if isinstance(each, Exception):
                    raise each
                if not since or each >= since.encode():
                    yield each

        yield lines()


def run(phase: str, *attempts: dict[str, Any]) -> TaskRun:
    metadata = {"name": "hello", "namespace": "jobs", "uid": "uid-1"}
    status = {"phase": phase, "attempts": list(attempts)}
    return TaskRun.model_validate({"metadata": metadata, "spec": {}, "status": status})


def attempt(number: int, *, started: bool = True, outcome: str | None = None) -> dict[str, Any]:
    return {
        "number": number,
        "podName": f"p{number}",
        "podUID": f"u{number}",
        "startedTime": "2026-11-25T04:00:00Z" if started else None,
        "outcome": outcome,
    }


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_SECONDS_BETWEEN_ROUNDS", 0.01)
    monkeypatch.setattr(logs, "_SECONDS_AFTER_THE_END", 0.2)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def warned() -> list[str]:
    return []


@pytest.fixture
def read(told: list[str], warned: list[str]) -> Callable[..., Any]:
    async def read(kubelet: Kubelet, *seen: TaskRun) -> None:
        reader = LogReader(kubelet.connect, REF, "main", told.append, warned.append)
        for each in seen:
            reader.see(each)
            await asyncio.sleep(0)
        await reader.finish()

    return read


async def test_a_log_is_told_without_its_times(read: Any, told: list[str]) -> None:
    kubelet = Kubelet(p1=[[line(1, "one"), line(2, ""), line(2, "two words", 5)]])
    await read(kubelet, run("Succeeded", attempt(1, outcome="Succeeded")))
    assert told == ["one", "", "two words"]


async def test_a_connection_that_breaks_loses_no_line_and_repeats_none(
    read: Any, told: list[str], warned: list[str]
) -> None:
    whole = [line(1, "a"), line(1, "b"), line(2, "c"), line(2, "c"), line(3, "d")]
    kubelet = Kubelet(p1=[[*whole[:3], BROKEN_OFF], [*whole[:4], BROKEN_OFF], whole, whole])
    await read(kubelet, run("Succeeded", attempt(1, outcome="Succeeded")))
    assert told == ["a", "b", "c", "c", "d"]
    assert warned == []
    assert [since for _, since in kubelet.asked][:2] == ["", "2026-11-25T04:00:02.000000000Z"]


@given(st.lists(st.integers(0, 3), max_size=12), st.data())
def test_whatever_breaks_where_each_line_is_told_once(seconds: list[int], data: Any) -> None:
    times = [f"2026-11-25T04:00:{each:02}Z" for each in sorted(seconds)]
    cursor, told = Cursor(), []
    for _ in range(4):
        upto = data.draw(st.integers(0, len(times)))
        since = cursor.rewind().time
        told += [
            number
            for number, time in list(enumerate(times))[:upto]
            if time >= since and cursor.passes(time)
        ]
    cursor.rewind()
    since = cursor.time
    told += [n for n, time in enumerate(times) if time >= since and cursor.passes(time)]
    assert told == list(range(len(times)))


async def test_attempts_are_told_in_their_order_and_those_that_never_ran_are_passed_over(
    read: Any, told: list[str]
) -> None:
    kubelet = Kubelet(p1=[[line(1, "first")]], p3=[[line(9, "third")]])
    first, second = (
        attempt(1, outcome="Failed"),
        attempt(2, started=False, outcome="Replaced"),
    )
    await read(
        kubelet,
        run("Running", attempt(1)),
        run("BackingOff", first),
        run("Pending", first, second),
        run("Succeeded", first, second, attempt(3, outcome="Succeeded")),
    )
    assert told == ["first", "third"]
    assert {pod for pod, _ in kubelet.asked} == {"p1", "p3"}


async def test_a_run_that_never_started_has_no_log(read: Any, told: list[str]) -> None:
    kubelet = Kubelet()
    await read(kubelet, run("Failed", attempt(1, started=False, outcome="Stopped")), run("Failed"))
    assert told == []
    assert kubelet.asked == []


async def test_the_rest_of_a_line_that_was_too_long_follows_it(read: Any, told: list[str]) -> None:
    kubelet = Kubelet(p1=[[line(1, "x" * 9), b"yyy", line(2, "z")]])
    await read(kubelet, run("Succeeded", attempt(1, outcome="Succeeded")))
    assert told == ["x" * 9, "yyy", "z"]


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (Refused(404, 'pods "p1" not found'), "The log is gone"),
        (Refused(403, "forbidden"), "`get` on `pods/log` in namespace jobs"),
    ],
)
async def test_a_log_that_cannot_be_had_is_told_once_and_that_is_all(
    read: Any, told: list[str], warned: list[str], refusal: Refused, sentence: str
) -> None:
    await read(Kubelet(p1=[[refusal]] * 9), run("Failed", attempt(1, outcome="Failed")))
    assert told == []
    assert len(warned) == 1
    assert sentence in warned[0]


async def test_a_container_that_is_not_ready_to_be_read_is_asked_again(told: list[str]) -> None:
    waiting = Refused(400, 'container "main" is waiting to start')
    kubelet = Kubelet(p1=[[waiting], [waiting], [line(1, "here")]])
    reader = LogReader(kubelet.connect, REF, "main", told.append, told.append)
    reader.see(run("Running", attempt(1)))
    await asyncio.wait_for(kubelet.read_thrice.wait(), 30)
    await reader.finish()
    assert told == ["here"]


async def test_an_apiserver_that_forbids_what_it_allowed_before_is_asked_again(
    read: Any, told: list[str], warned: list[str]
) -> None:
    rest = [line(1, "before"), line(2, "after")]
    kubelet = Kubelet(p1=[[rest[0], BROKEN_OFF], [Refused(403, "forbidden")], rest])
    await read(kubelet, run("Succeeded", attempt(1, outcome="Succeeded")))
    assert told == ["before", "after"]
    assert warned == []


async def test_a_log_that_never_ends_does_not_hold_the_verdict(
    read: Any, warned: list[str]
) -> None:
    class Silent(Kubelet):
        @override
        @asynccontextmanager
        async def log(self, *_: object) -> AsyncIterator[Any]:
            async def lines() -> AsyncIterator[bytes]:
                await asyncio.Event().wait()
                yield b""

            yield lines()

    await read(Silent(), run("Succeeded", attempt(1, outcome="Succeeded")))
    assert warned == ["The log could not be read to its end in time; the rest is left out."]


async def test_trouble_that_nobody_foresaw_is_told_and_raises_nothing(
    read: Any, warned: list[str]
) -> None:
    await read(Kubelet(p1=[[KeyError("x")]]), run("Succeeded", attempt(1, outcome="Succeeded")))
    assert "KeyError" in warned[0]
