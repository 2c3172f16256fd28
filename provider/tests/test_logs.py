"""Tests of the log reader: order, attempts, duplicates, errors that must not fail the task."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from typing_extensions import override

from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow import logs
from taskruns_airflow.client import Ref, Refused
from taskruns_airflow.containers import Shown
from taskruns_airflow.log_position import MAX_PIECE_BYTES, pieces_of
from taskruns_airflow.logs import Line, LogReader

REF = Ref("jobs", "hello", "uid-1")
MAIN = Shown("main", beside=("main",))
ALL = Shown("main", before=("fetch", "unpack"), beside=("proxy", "main"), named=True)
NO_RESTART = Refused(400, 'previous terminated container "x" in pod "p1" not found')
NOT_YET = Refused(400, 'container "x" in pod "p1" is waiting to start: PodInitializing')
BROKEN_OFF = ConnectionResetError()


def line(second: int, text: str, nanosecond: int = 0) -> bytes:
    return f"2026-11-25T04:00:{second:02}.{nanosecond:09}Z {text}".encode()


class Kubelet:
    """Fake kubelet that serves scripted rounds of each container's log: lines and errors.

    A keyword names a Pod, for its main container, or `pod_container`, for another one.
    """

    def __init__(self, **rounds: list[list[Any]]) -> None:
        self.rounds = rounds
        self.requests: list[tuple[str, str]] = []
        self.enough = 3
        self.read_enough = asyncio.Event()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Any]:
        yield self

    @asynccontextmanager
    async def log(
        self,
        pod: str,
        container: str,
        _since: str = "",
        *,
        follow: bool = True,
        previous: bool = False,
    ) -> AsyncIterator[Any]:
        name = pod if container == "main" else f"{pod}_{container}"
        name += "_previous" if previous else ""
        if previous and name not in self.rounds:
            raise NO_RESTART
        self.requests.append((name, "" if follow else "search"))
        if len(self.requests) == self.enough:
            self.read_enough.set()
        rounds = self.rounds[name]
        script = rounds.pop(0) if rounds else []
        if script and isinstance(script[0], Refused):
            raise script[0]

        async def chunks() -> AsyncIterator[bytes]:
            for each in script:
                await asyncio.sleep(0)
                if isinstance(each, Exception):
                    raise each
                yield each + b"\n"

        yield pieces_of(chunks())


class Lines(list[str]):
    """Delivered lines, with an event that is set at a given number of lines."""

    def __init__(self, enough: int) -> None:
        super().__init__()
        self._enough = enough
        self._reached = asyncio.Event()

    @override
    def append(self, line: str) -> None:
        super().append(line)
        if len(self) == self._enough:
            self._reached.set()

    async def arrive(self) -> None:
        await asyncio.wait_for(self._reached.wait(), 30)


def run(phase: str, *attempts: dict[str, Any], reason: str | None = None) -> TaskRun:
    metadata = {"name": "hello", "namespace": "jobs", "uid": "uid-1"}
    status = {"phase": phase, "reason": reason, "attempts": list(attempts)}
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
def _short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(logs, "backoff_delays", lambda _: iter([0.01] * 1000))
    monkeypatch.setattr(logs, "_STALL_SECONDS", 0.2)


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def warned() -> list[str]:
    return []


def reader_of(
    kubelet: Kubelet, shown: Shown, lines: list[str], warned: list[str] | None = None
) -> LogReader:
    def add_line(line: Line) -> None:
        lines.append(line.text)

    return LogReader(
        kubelet.connect, REF, shown, add_line, (lines if warned is None else warned).append
    )


@pytest.fixture
def read(lines: list[str], warned: list[str]) -> Callable[..., Any]:
    async def read(kubelet: Kubelet, *states: TaskRun, shown: Shown = MAIN) -> None:
        reader = reader_of(kubelet, shown, lines, warned)
        for each in states:
            reader.update(each)
            await asyncio.sleep(0)
        await reader.finish()

    return read


async def test_a_log_is_delivered_without_its_timestamps(read: Any, lines: list[str]) -> None:
    kubelet = Kubelet(p1=[[line(1, "one"), line(2, ""), line(2, "two words", 5)]])
    await read(kubelet, run("Succeeded", attempt(1, outcome="Succeeded")))
    assert lines == ["one", "", "two words"]


async def test_an_interrupted_connection_loses_and_repeats_no_line(
    read: Any, lines: list[str], warned: list[str]
) -> None:
    whole = [line(1, "a"), line(1, "b"), line(2, "c"), line(2, "c"), line(3, "d")]
    kubelet = Kubelet(p1=[[*whole[:3], BROKEN_OFF], [*whole[:4], BROKEN_OFF], whole, whole])
    await read(kubelet, run("Succeeded", attempt(1, outcome="Succeeded")))
    assert lines == ["a", "b", "c", "c", "d"]
    assert warned == []


async def test_attempts_are_read_in_order_except_those_that_never_ran(
    read: Any, lines: list[str]
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
    assert lines == ["first", "third"]
    assert {pod for pod, _ in kubelet.requests} == {"p1", "p3"}


async def test_a_run_that_never_started_has_no_log(read: Any, lines: list[str]) -> None:
    kubelet = Kubelet()
    await read(kubelet, run("Failed", attempt(1, started=False, outcome="Stopped")), run("Failed"))
    assert lines == []
    assert kubelet.requests == []


async def test_every_part_of_a_line_has_the_containers_time() -> None:
    delivered: list[Line] = []
    size = MAX_PIECE_BYTES - len(line(1, ""))
    lines = [line(1, "x" * size + "2999-11-25T04:00:00Z y", 123_456_789), line(2, "z")]
    reader = LogReader(Kubelet(p1=[lines]).connect, REF, MAIN, delivered.append, print)
    reader.update(run("Succeeded", attempt(1, outcome="Succeeded")))
    await reader.finish()
    first = datetime(2026, 11, 25, 4, 0, 1, 123_456, tzinfo=UTC)
    assert delivered == [
        Line("main", first, "x" * size),
        Line("main", first, "2999-11-25T04:00:00Z y"),
        Line("main", datetime(2026, 11, 25, 4, 0, 2, tzinfo=UTC), "z"),
    ]


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (Refused(404, 'pods "p1" not found'), "The log of main no longer exists"),
        (Refused(403, "forbidden"), "`get` on `pods/log` in namespace jobs"),
        (Refused(501, "the driver does not support reading"), "The log of main cannot be read"),
    ],
)
async def test_an_unreadable_log_is_one_warning(
    read: Any, lines: list[str], warned: list[str], refusal: Refused, sentence: str
) -> None:
    await read(Kubelet(p1=[[refusal]] * 9), run("Failed", attempt(1, outcome="Failed")))
    assert lines == []
    assert len(warned) == 1
    assert sentence in warned[0]


async def test_the_log_of_a_container_that_has_not_started_is_retried(lines: list[str]) -> None:
    waiting = Refused(400, 'container "main" is waiting to start')
    kubelet = Kubelet(p1=[[waiting], [waiting], [line(1, "here")]])
    reader = reader_of(kubelet, MAIN, lines)
    reader.update(run("Running", attempt(1)))
    await asyncio.wait_for(kubelet.read_enough.wait(), 30)
    await reader.finish()
    assert lines == ["here"]


async def test_a_log_that_was_allowed_before_is_retried_after_403(
    read: Any, lines: list[str], warned: list[str]
) -> None:
    rest = [line(1, "before"), line(2, "after")]
    kubelet = Kubelet(p1=[[rest[0], BROKEN_OFF], [Refused(403, "forbidden")], rest])
    await read(kubelet, run("Succeeded", attempt(1, outcome="Succeeded")))
    assert lines == ["before", "after"]
    assert warned == []


async def test_a_log_that_never_ends_does_not_delay_the_outcome(
    read: Any, warned: list[str]
) -> None:
    class Silent(Kubelet):
        @override
        @asynccontextmanager
        async def log(self, *_: object, **__: object) -> AsyncIterator[Any]:
            async def chunks() -> AsyncIterator[bytes]:
                await asyncio.Event().wait()
                yield b""

            yield pieces_of(chunks())

    await read(Silent(), run("Succeeded", attempt(1, outcome="Succeeded")))
    assert warned == ["The log could not be read to its end in time; the rest is omitted."]


async def test_an_unexpected_error_is_a_warning(read: Any, warned: list[str]) -> None:
    await read(Kubelet(p1=[[KeyError("x")]]), run("Succeeded", attempt(1, outcome="Succeeded")))
    assert "KeyError" in warned[0]


async def test_each_line_has_its_containers_name_and_init_containers_are_first(
    read: Any, lines: list[str], warned: list[str]
) -> None:
    kubelet = Kubelet(
        p1=[[line(4, "hello")]],
        p1_fetch=[[line(1, "got it")]],
        p1_unpack=[[line(2, "done")]],
        p1_proxy=[[line(3, "ready")]],
    )
    await read(kubelet, run("Succeeded", attempt(1, outcome="Succeeded")), shown=ALL)
    assert lines == ["[fetch] got it", "[unpack] done", "[proxy] ready", "[main] hello"]
    assert warned == []


async def test_init_containers_are_followed_before_main_starts() -> None:
    delivered = Lines(3)
    kubelet = Kubelet(
        p1=[[line(9, "hello")]],
        p1_fetch=[[NOT_YET], [line(1, "a"), BROKEN_OFF], [line(1, "a"), line(2, "b")]],
        p1_unpack=[[line(3, "c")]],
        p1_proxy=[],
    )
    reader = reader_of(kubelet, ALL, delivered)
    reader.update(run("Pending", attempt(1, started=False)))
    await delivered.arrive()
    assert delivered == ["[fetch] a", "[fetch] b", "[unpack] c"]
    reader.update(run("Succeeded", attempt(1, outcome="Succeeded")))
    await reader.finish()
    assert delivered[3:] == ["[main] hello"]


async def test_an_interruption_after_the_end_loses_no_line_of_an_init_container(
    read: Any, lines: list[str]
) -> None:
    kubelet = Kubelet(
        p1_fetch=[[line(1, "a"), BROKEN_OFF], [line(1, "a"), line(2, "b")]],
        p1_unpack=[[line(3, "c")]],
        p1_proxy=[],
        p1=[],
    )
    await read(kubelet, run("Succeeded", attempt(1, outcome="Succeeded")), shown=ALL)
    assert lines == ["[fetch] a", "[fetch] b", "[unpack] c"]


async def test_the_whole_log_of_a_failed_init_container_is_delivered(
    read: Any, lines: list[str], warned: list[str]
) -> None:
    kubelet = Kubelet(
        p1_fetch=[[line(1, "no route to host")]], p1_unpack=[[NOT_YET]], p1_proxy=[[NOT_YET]]
    )
    await read(kubelet, run("Failed", attempt(1, started=False, outcome="Failed")), shown=ALL)
    assert lines == ["[fetch] no route to host"]
    assert warned == []


async def test_no_log_is_requested_of_a_pod_without_a_node() -> None:
    kubelet = Kubelet(p1_fetch=[], p1_unpack=[], p1_proxy=[])
    waiting = run("Pending", attempt(1, started=False), reason="Unschedulable")
    reader = reader_of(kubelet, ALL, [])
    reader.update(waiting)
    await asyncio.sleep(0.05)
    assert kubelet.requests == []
    await reader.finish()


async def test_an_error_of_one_container_does_not_affect_the_others(
    read: Any, lines: list[str], warned: list[str]
) -> None:
    strange = Refused(400, "container fetch is not valid for pod p1")
    kubelet = Kubelet(
        p1=[[line(1, "hello")]],
        p1_fetch=[[strange]],
        p1_unpack=[[KeyError("x")]],
        p1_proxy=[[Refused(404, "no such pod")]],
    )
    await read(kubelet, run("Running", attempt(1)), shown=ALL)
    assert lines == ["[main] hello"]
    assert [each.partition(":")[0] for each in warned] == [
        "The log of fetch does not exist",
        "The log of unpack could not be read",
        "The log of proxy no longer exists",
    ]


async def test_an_unknown_container_is_requested_once() -> None:
    strange = Refused(400, "container proxy is not valid for pod p1")
    kubelet = Kubelet(p1=[[line(1, "hello")]], p1_proxy=[[strange]] * 9)
    kubelet.enough = 9
    shown = Shown("main", beside=("main", "proxy"), named=True)
    reader = reader_of(kubelet, shown, [])
    reader.update(run("Running", attempt(1)))
    await asyncio.wait_for(kubelet.read_enough.wait(), 30)
    await reader.stop()
    assert [name for name, _ in kubelet.requests].count("p1_proxy") == 1


async def test_concurrent_containers_are_followed_concurrently() -> None:
    delivered = Lines(2)

    class Endless(Kubelet):
        @override
        @asynccontextmanager
        async def log(self, *_: object, **__: object) -> AsyncIterator[Any]:
            async def chunks() -> AsyncIterator[bytes]:
                yield line(1, "here") + b"\n"
                await asyncio.Event().wait()

            yield pieces_of(chunks())

    shown = Shown("main", beside=("main", "proxy"), named=True)
    reader = reader_of(Endless(), shown, delivered)
    reader.update(run("Running", attempt(1)))
    await delivered.arrive()
    assert delivered == ["[main] here", "[proxy] here"]
    await reader.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_unread_lines_that_were_rotated_away_are_one_warning(
    read: Any, lines: list[str], warned: list[str]
) -> None:
    later = [line(9, "i"), line(9, "j")]
    kubelet = Kubelet(p1=[[line(1, "a"), line(2, "b"), BROKEN_OFF], later, later, later])
    await read(kubelet, run("Succeeded", attempt(1, outcome="Succeeded")))
    assert lines == ["a", "b", "i", "j"]
    assert len(warned) == 1
    assert "Lines of the log of main are missing here: the log was rotated after" in warned[0]
    assert "2026-11-25T04:00:02+00:00" in warned[0]


async def test_a_rotated_log_is_resumed_after_the_last_line(
    read: Any, lines: list[str], warned: list[str]
) -> None:
    rest = [line(2, "b"), line(3, "c"), line(4, "d")]
    kubelet = Kubelet(p1=[[line(1, "a"), *rest[:2], BROKEN_OFF], rest, rest, rest])
    await read(kubelet, run("Succeeded", attempt(1, outcome="Succeeded")))
    assert lines == ["a", "b", "c", "d"]
    assert warned == []


async def test_after_a_restart_the_rest_of_the_previous_log_is_delivered_first(
    read: Any, lines: list[str], warned: list[str]
) -> None:
    before, after = [line(1, "a"), line(2, "b")], [line(3, "a")]
    kubelet = Kubelet(p1=[[before[0], BROKEN_OFF], after, after, after], p1_previous=[before] * 2)
    await read(kubelet, run("Succeeded", attempt(1, outcome="Succeeded")))
    assert lines == ["a", "b", "a"]
    assert warned == []


async def test_two_restarts_without_a_read_are_a_warning(
    read: Any, lines: list[str], warned: list[str]
) -> None:
    before, after = [line(3, "c")], [line(4, "d")]
    kubelet = Kubelet(
        p1=[[line(1, "a"), BROKEN_OFF], after, after, after], p1_previous=[before] * 2
    )
    await read(kubelet, run("Succeeded", attempt(1, outcome="Succeeded")))
    assert lines == ["a", "c", "d"]
    assert [each.partition(":")[0] for each in warned] == [
        "Lines of the log of main may be missing here"
    ]


async def test_a_log_is_read_to_its_end_while_lines_arrive(
    warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = 0

    async def room() -> None:
        nonlocal rooms
        rooms += 1
        await asyncio.sleep(0.1)

    monkeypatch.setattr(logs, "_CHARACTERS_BETWEEN_WAITS", 1)
    kubelet = Kubelet(p1=[[line(1, str(number)) for number in range(6)]])
    add_line = Lines(6)
    reader = LogReader(
        kubelet.connect, REF, MAIN, lambda each: add_line.append(each.text), warned.append, room
    )
    reader.update(run("Succeeded", attempt(1, outcome="Succeeded")))
    await reader.finish()
    assert add_line == list("012345")
    assert warned == []
    assert rooms == 6
