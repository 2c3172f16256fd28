"""Fair turns between lanes, for any calls in any order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskruns.operator.workqueue import FairScheduler, share

LANES = "abc"
KEYS = [f"{lane}{number}" for lane in LANES for number in range(4)]
AT_ONCE = 2


class Watched:
    """A fair scheduler, and a simple model of its expected state."""

    def __init__(self) -> None:
        self.rota: FairScheduler[str] = FairScheduler(lambda key: key[0], AT_ONCE)
        self.waiting: list[str] = []
        self.busy: list[str] = []
        self.passed: dict[str, set[str]] = {lane: set() for lane in LANES}
        """Lanes that had a turn since the lane could have had one, by lane."""

    def add(self, key: str) -> None:
        assert self.rota.add(key) is (key not in self.waiting)
        if key not in self.waiting:
            self.waiting.append(key)

    def take(self) -> None:
        key = self.rota.take()
        if key is None:
            assert not [key for key in self.waiting if self.may_start(key)]
            return
        first = next(queued for queued in self.waiting if queued[0] == key[0])
        assert key == first, "in a lane, who asked first goes first"
        assert self.may_start(key)
        for lane in {queued[0] for queued in self.waiting if self.may_start(queued)} - {key[0]}:
            assert key[0] not in self.passed[lane], "nobody has two turns while another waits"
            self.passed[lane].add(key[0])
        self.passed[key[0]].clear()
        self.waiting.remove(key)
        self.busy.append(key)

    def end(self) -> None:
        if self.busy:
            self.rota.end(self.busy.pop(0))

    def may_start(self, key: str) -> bool:
        return sum(running[0] == key[0] for running in self.busy) < AT_ONCE


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


@pytest.mark.parametrize(("workers", "most"), [(1, 1), (2, 1), (4, 3), (8, 6), (256, 192)])
def test_a_quarter_of_the_workers_is_kept_for_other_lanes(workers: int, most: int) -> None:
    assert share(workers) == most
