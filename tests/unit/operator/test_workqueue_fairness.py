"""Fair turns between lanes, for any calls in any order."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskruns.operator.workqueue import FairScheduler, share

LANES = "abc"
KEYS = [f"{lane}{number}" for lane in LANES for number in range(4)]
AT_ONCE = 2


class Watched:
    """A fair scheduler, and a simple model of its state. Keys with an even number are urgent."""

    def __init__(self) -> None:
        self.rota: FairScheduler[str] = FairScheduler(lambda key: key[0], AT_ONCE)
        self.waiting: list[str] = []
        self.busy: list[str] = []
        self.urgent_in_a_row: dict[str, int] = {}
        self.passed: dict[str, set[str]] = {lane: set() for lane in LANES}
        """Lanes that had a turn since the lane could have had one, by lane."""

    def add(self, key: str) -> None:
        assert self.rota.add(key, urgent=is_urgent(key)) is (key not in self.waiting)
        if key not in self.waiting:
            self.waiting.append(key)

    def take(self) -> None:
        key = self.rota.take()
        if key is None:
            assert not [key for key in self.waiting if self.may_start(key)]
            return
        lane = [queued for queued in self.waiting if queued[0] == key[0]]
        alike = [queued for queued in lane if is_urgent(queued) == is_urgent(key)]
        assert key == alike[0], "in a lane, keys of one kind are first in, first out"
        urgent_waits = any(map(is_urgent, lane))
        other_is_due = self.urgent_in_a_row.get(key[0], 0) >= 8 and not all(map(is_urgent, lane))
        assert is_urgent(key) is (urgent_waits and not other_is_due)
        row = self.urgent_in_a_row.get(key[0], 0) + 1 if is_urgent(key) else 0
        self.urgent_in_a_row[key[0]] = row if len(lane) > 1 else 0
        assert self.may_start(key)
        for other in {queued[0] for queued in self.waiting if self.may_start(queued)} - {key[0]}:
            assert key[0] not in self.passed[other], "no lane has two turns while another waits"
            self.passed[other].add(key[0])
        self.passed[key[0]].clear()
        self.waiting.remove(key)
        self.busy.append(key)

    def end(self) -> None:
        if self.busy:
            self.rota.end(self.busy.pop(0))

    def may_start(self, key: str) -> bool:
        return sum(running[0] == key[0] for running in self.busy) < AT_ONCE


def is_urgent(key: str) -> bool:
    return int(key[1:]) % 2 == 0


@given(st.lists(st.sampled_from([*KEYS, "take", "end"]), max_size=200))
def test_turns_are_fair_for_any_requests(steps: list[str]) -> None:
    watched = Watched()
    for step in steps:
        match step:
            case "take":
                watched.take()
            case "end":
                watched.end()
            case key:
                watched.add(key)
        assert len(watched.rota) == len(watched.waiting)


def test_a_waiting_key_that_becomes_urgent_moves_ahead() -> None:
    rota: FairScheduler[str] = FairScheduler(lambda key: key[0], AT_ONCE)
    assert rota.add("a1")
    assert rota.add("a3")
    assert not rota.add("a3", urgent=True)
    assert not rota.add("a3"), "an urgent key stays urgent"
    assert len(rota) == 2
    assert [rota.take(), rota.take()] == ["a3", "a1"]


def test_urgent_keys_do_not_block_the_others_of_their_lane() -> None:
    rota: FairScheduler[str] = FairScheduler(lambda key: key[0], inf)
    rota.add("a-waiting")
    for number in range(100):
        rota.add(f"a{number}", urgent=True)
    taken = [rota.take() for _ in range(20)]
    assert taken.index("a-waiting") == 8


@pytest.mark.parametrize(("workers", "most"), [(1, 1), (2, 1), (4, 3), (8, 6), (256, 192)])
def test_a_quarter_of_the_workers_is_kept_for_other_lanes(workers: int, most: int) -> None:
    assert share(workers) == most
