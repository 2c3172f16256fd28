"""The faults of a session of chaos come from its seed alone."""

from itertools import pairwise

import pytest

from tests.chaos.schedule import Kind, faults


def test_a_seed_gives_the_same_faults_and_another_one_gives_others() -> None:
    assert faults(7, 600) == faults(7, 600)
    assert faults(7, 600) != faults(8, 600)


def test_a_longer_session_begins_with_the_faults_of_a_shorter_one() -> None:
    shorter = faults(7, 60)
    assert faults(7, 600)[: len(shorter)] == shorter


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_of_fault_happens_in_the_first_minute(seed: int) -> None:
    assert {fault.kind for fault in faults(seed, 60)} == set(Kind)


def test_faults_are_a_few_seconds_apart() -> None:
    times = [fault.at for fault in faults(0, 600)]
    pauses = [after - before for before, after in pairwise(times)]
    assert 0 < min(pauses) < max(pauses) <= 4
