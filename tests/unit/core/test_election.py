"""The election of a leader: the rules, and that two processes never believe to lead at once.

The property test interleaves the requests of three processes, whose clocks differ in speed, in any
order: requests are lost or delayed, responses are lost, processes pause, stop and are replaced.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskruns.core.election import Elector, Timing
from taskruns.core.unstructured import Object

TIMING = Timing(lease_duration=10.0, renew_deadline=7.0, retry_period=1.0)
START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def elector(identity: str = "a") -> Elector:
    return Elector(identity, "system", "taskruns", TIMING)


def stored(lease: Object, version: int = 1) -> Object:
    return {**lease, "metadata": {**lease["metadata"], "resourceVersion": str(version)}}


def lease_of(holder: str, version: int = 1, **spec: Any) -> Object:
    content = {"holderIdentity": holder, "leaseDurationSeconds": 10, **spec}
    return stored(
        {"metadata": {"namespace": "system", "name": "taskruns"}, "spec": content}, version
    )


def led_by(identity: str = "a", sent: float = 0.0) -> Elector:
    leader = elector(identity)
    leader.observe(None, sent)
    leader.wrote(stored(leader.held_lease(START)), sent)
    return leader


def test_a_missing_lease_is_created() -> None:
    first = elector()
    first.observe(None, 100.0)
    assert first.may_write(100.0)
    assert not first.leads(100.0)
    assert first.held_lease(START) == {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": "system", "name": "taskruns"},
        "spec": {
            "holderIdentity": "a",
            "leaseDurationSeconds": 10,
            "acquireTime": "2026-01-02T03:04:05.678901Z",
            "renewTime": "2026-01-02T03:04:05.678901Z",
            "leaseTransitions": 0,
        },
    }


def test_a_leader_leads_for_the_renew_deadline_from_before_its_request() -> None:
    leader = led_by(sent=100.0)
    assert leader.is_current
    assert leader.leads(106.9)
    assert not leader.leads(107.0)


def test_a_renewal_changes_only_its_time() -> None:
    leader = led_by()
    before, after = leader.held_lease(START), leader.held_lease(START + timedelta(seconds=1))
    assert after["metadata"]["resourceVersion"] == "1"
    assert after["spec"] == before["spec"] | {"renewTime": "2026-01-02T03:04:06.678901Z"}


def test_a_standby_takes_a_lease_that_has_not_changed_for_its_duration() -> None:
    standby = elector("b")
    standby.observe(lease_of("a"), 100.0)
    standby.observe(lease_of("a"), 109.0)
    assert not standby.may_write(109.9)
    assert standby.may_write(110.0)
    taken = standby.held_lease(START)["spec"]
    assert (taken["holderIdentity"], taken["leaseTransitions"]) == ("b", 1)
    assert taken["acquireTime"] == taken["renewTime"]


def test_each_renewal_that_a_standby_sees_restarts_its_wait() -> None:
    standby = elector("b")
    standby.observe(lease_of("a", 1), 100.0)
    standby.observe(lease_of("a", 2), 109.0)
    assert not standby.may_write(118.9)
    assert standby.may_write(119.0)


def test_the_holder_decides_how_long_its_lease_lasts() -> None:
    standby = elector("b")
    standby.observe(lease_of("a", leaseDurationSeconds=60), 0.0)
    assert not standby.may_write(59.9)
    assert standby.may_write(60.0)


@pytest.mark.parametrize("spec", [None, {}, {"holderIdentity": ""}, {"holderIdentity": 5}])
def test_a_lease_without_a_holder_is_taken_at_once(spec: Any) -> None:
    standby = elector("b")
    standby.observe({"metadata": {"resourceVersion": "1"}, "spec": spec}, 0.0)
    assert standby.holder == ""
    assert standby.may_write(0.0)


@pytest.mark.parametrize("duration", [None, 0, "ten", True])
def test_a_lease_without_a_duration_lasts_as_long_as_our_own(duration: Any) -> None:
    standby = elector("b")
    standby.observe(lease_of("a", leaseDurationSeconds=duration), 0.0)
    assert not standby.may_write(9.9)
    assert standby.may_write(10.0)


def test_a_lease_that_is_deleted_while_it_is_held_counts_as_held() -> None:
    standby = elector("b")
    standby.observe(lease_of("a"), 100.0)
    standby.observe(None, 101.0)
    assert not standby.may_write(109.9)
    assert standby.may_write(110.0)
    leader = led_by("a", 100.0)
    leader.observe(None, 101.0)
    assert leader.may_write(101.0)
    assert leader.held_lease(START)["spec"]["leaseTransitions"] == 0


def test_a_leader_that_sees_another_holder_stops_at_once() -> None:
    leader = led_by("a", 0.0)
    leader.observe(lease_of("b", 2), 1.0)
    assert not leader.leads(1.0)
    assert not leader.may_write(1.0)
    assert leader.holder == "b"


def test_a_leader_that_sees_its_own_lease_goes_on_until_its_deadline() -> None:
    leader = led_by("a", 0.0)
    leader.observe(lease_of("a", 2), 6.0)
    assert leader.leads(6.9)
    assert not leader.leads(7.0)
    assert leader.may_write(8.0), "nobody else has taken it"


def test_a_released_lease_has_no_holder_and_lasts_a_second() -> None:
    leader = led_by()
    released = leader.released_lease(START)
    leader.resign()
    assert not leader.leads(0.0)
    assert released["metadata"]["resourceVersion"] == "1"
    assert "holderIdentity" not in released["spec"]
    assert released["spec"]["leaseDurationSeconds"] == 1
    standby = elector("b")
    standby.observe(stored(released, 2), 0.0)
    assert standby.may_write(0.0)
    assert standby.held_lease(START)["spec"]["leaseTransitions"] == 1


def test_a_term_ends_when_the_holder_changes() -> None:
    leader = led_by()
    first = leader.term
    leader.wrote(stored(leader.held_lease(START + timedelta(seconds=1)), 2), 1.0)
    assert leader.term == first
    leader.observe(stored(leader.released_lease(START), 3), 2.0)
    assert not leader.leads(2.0)
    leader.wrote(stored(leader.held_lease(START + timedelta(seconds=2)), 4), 2.0)
    assert leader.term != first


def test_a_write_does_not_return_managed_fields() -> None:
    standby = elector("b")
    lease = lease_of("")
    standby.observe({**lease, "metadata": {**lease["metadata"], "managedFields": [{}]}}, 0.0)
    assert "managedFields" not in standby.held_lease(START)["metadata"]


def test_a_try_leaves_time_for_a_second_and_ends_with_the_leadership() -> None:
    assert elector().patience(0.0) == TIMING.renew_deadline / 2
    leader = led_by(sent=100.0)
    assert leader.patience(101.0) == 3.5
    assert leader.patience(105.0) == 2.0
    assert leader.patience(107.0) == 3.5


def test_the_pause_ends_early_for_the_deadline_and_for_an_expired_lease() -> None:
    leader = led_by(sent=100.0)
    assert leader.pause(101.0) == 1.0
    assert leader.pause(106.5) == 0.5
    assert leader.pause(107.0) == 1.0
    standby = elector("b")
    standby.observe(lease_of("a"), 100.0)
    assert standby.pause(101.0) == 1.0
    assert standby.pause(109.75) == 0.25
    assert standby.pause(110.0) == 1.0


# ---------------------------------------------------------------------------- interleavings


@dataclass
class Store:
    """The apiserver's copy of the Lease, with optimistic concurrency."""

    lease: Object | None = None
    version: int = 0

    def put(self, lease: Object) -> Object | None:
        """Store a Lease; return it, or None if it is based on another version."""
        current = self.lease and self.lease["metadata"]["resourceVersion"]
        if lease["metadata"].get("resourceVersion") != current:
            return None
        self.version += 1
        self.lease = stored(lease, self.version)
        return self.lease


@dataclass
class Request:
    """A request of one process: on its way, then answered."""

    lease: Object | None
    """The Lease to write; None for a read."""
    sent: float
    answered: bool = False
    response: Object | None = None


@dataclass
class Process:
    """A process with a clock of its own speed. It sends one request at a time."""

    elector: Elector
    speed: float
    request: Request | None = None
    delayed: list[Object] = field(default_factory=list)
    """Writes that the process has given up, but that may still arrive."""


@dataclass
class World:
    """Three processes and one Lease. Each method is one step that an adversary may choose."""

    store: Store
    processes: list[Process]
    now: float = 0.0
    born: int = 0

    def ticks(self, process: Process) -> float:
        return self.now * process.speed

    def wall(self) -> datetime:
        return START + timedelta(seconds=self.now)

    def send(self, process: Process) -> None:
        if process.request is None:
            lease = process.elector.held_lease(self.wall()) if process.elector.is_current else None
            process.request = Request(lease, self.ticks(process))

    def arrive(self, process: Process) -> None:
        request = process.request
        if request is not None and not request.answered:
            request.answered = True
            request.response = self.store.put(request.lease) if request.lease else self.store.lease

    def receive(self, process: Process) -> None:
        request, elector = process.request, process.elector
        if request is None or not request.answered:
            return
        process.request = None
        if request.lease is None:
            elector.observe(request.response, self.ticks(process))
            if elector.may_write(self.ticks(process)):
                lease = elector.held_lease(self.wall())
                process.request = Request(lease, self.ticks(process))
        elif request.response is None:
            elector.is_current = False
        else:
            elector.wrote(request.response, request.sent)

    def give_up(self, process: Process) -> None:
        request, process.request = process.request, None
        process.elector.is_current = False
        if request is not None and request.lease is not None and not request.answered:
            process.delayed.append(request.lease)

    def arrive_late(self, process: Process) -> None:
        if process.delayed:
            self.store.put(process.delayed.pop())

    def stop(self, process: Process) -> None:
        """Release the Lease, and replace the process."""
        if process.elector.leads(self.ticks(process)):
            released = process.elector.released_lease(self.wall())
            process.elector.resign()
            self.store.put(released)
        self.replace(process)

    def replace(self, process: Process) -> None:
        self.born += 1
        process.elector, process.request = elector(f"process-{self.born}"), None

    def leaders(self) -> int:
        return sum(each.elector.leads(self.ticks(each)) for each in self.processes)

    def perform(self, seconds: float, step: str, number: int) -> None:
        """Let time pass, then perform a step of one process."""
        self.now += seconds
        parts = TRY if step == "try" else (step,)
        for part in parts:
            getattr(self, part)(self.processes[number])


TRY = ("send", "arrive", "receive", "arrive", "receive")
PARTS = ("send", "arrive", "receive", "give_up", "arrive_late", "stop", "replace")
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.0, 4.0, 5.5, 6.5, 8.0, 9.5, 12.0]),
        st.one_of(st.just("try"), st.just("try"), st.sampled_from(PARTS)),
        st.integers(0, 2),
    ),
    min_size=10,
    max_size=40,
)
SPEEDS = st.lists(st.sampled_from([0.9, 1.0, 1.1]), min_size=3, max_size=3)
History = list[tuple[float, str, int]]


def world(speeds: list[float]) -> World:
    processes = [Process(elector(f"first-{n}"), speed) for n, speed in enumerate(speeds)]
    return World(Store(), processes)


@settings(max_examples=300)
@given(SPEEDS, STEPS)
def test_never_two_processes_lead_at_once(speeds: list[float], steps: History) -> None:
    """A process that pauses is one of which no step is chosen; its clock goes on."""
    everything = world(speeds)
    for step in steps:
        everything.perform(*step)
        assert everything.leaders() <= 1


@settings(max_examples=100)
@given(SPEEDS, STEPS)
def test_after_any_history_one_process_leads_soon(speeds: list[float], steps: History) -> None:
    everything = world(speeds)
    for step in steps:
        everything.perform(*step)
    for process in everything.processes:
        everything.give_up(process)
        process.delayed.clear()
    for _ in range(14):
        for number in range(3):
            everything.perform(0.0, "try", number)
        everything.now += 1.0
    assert everything.leaders() == 1
