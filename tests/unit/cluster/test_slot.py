"""Slots, which give each test cluster its own ports and addresses."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster import lock
from tests.cluster import slot as slots
from tests.cluster.error import ClusterError
from tests.cluster.place import Place
from tests.cluster.slot import PORTS, RANGES, SLOTS, Slot


def _place(root: Path, name: str) -> Place:
    return Place(name, root / name)


def _anything_goes(_: Slot) -> bool:
    return True


def test_a_cluster_keeps_its_slot(tmp_path: Path) -> None:
    first = slots.allocate(_place(tmp_path, "a"), _anything_goes)
    slots.allocate(_place(tmp_path, "b"), _anything_goes)
    assert slots.allocate(_place(tmp_path, "a"), _anything_goes) == first == Slot(0)


def test_a_slot_in_use_outside_our_folders_is_passed_over(tmp_path: Path) -> None:
    taken_by_others = {Slot(0), Slot(1)}
    chosen = slots.allocate(_place(tmp_path, "a"), lambda slot: slot not in taken_by_others)
    assert chosen == Slot(2)


def test_a_slot_that_was_given_back_is_used_again(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        slots.allocate(_place(tmp_path, name), _anything_goes)
    _place(tmp_path, "b").slot.unlink()
    assert slots.allocate(_place(tmp_path, "d"), _anything_goes) == Slot(1)


def test_clusters_made_at_once_get_different_slots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "INTERVAL", 0.005)
    places = [_place(tmp_path, f"c{number}") for number in range(SLOTS)]
    with ThreadPoolExecutor(SLOTS) as pool:
        chosen = list(pool.map(lambda place: slots.allocate(place, _anything_goes), places))
    assert len(set(chosen)) == SLOTS


def test_no_free_slot_is_an_error_that_names_who_has_them(tmp_path: Path) -> None:
    for number in range(SLOTS):
        slots.allocate(_place(tmp_path, f"c{number}"), _anything_goes)
    with pytest.raises(ClusterError, match="c11"):
        slots.allocate(_place(tmp_path, "late"), _anything_goes)


def test_a_folder_without_a_readable_slot_counts_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "slot").write_text("")
    assert slots.recorded(_place(tmp_path, "a")) is None
    assert slots.recorded(_place(tmp_path, "b")) is None
    assert slots.allocate(_place(tmp_path, "b"), _anything_goes) == Slot(0)


def test_slots_share_no_port_no_bridge_and_no_address() -> None:
    slots_ = [Slot(number) for number in range(SLOTS)]
    every = [Slot(number, choice) for number in range(SLOTS) for choice in range(len(RANGES))]
    ports = [slot.port(server) for slot in slots_ for server in PORTS]
    assert len(set(ports)) == len(ports)
    assert max(ports) < 32768, "ports from here on are given to outgoing connections"
    assert len({slot.handle for slot in every}) == SLOTS
    assert all(not a.pod_cidr.overlaps(b.pod_cidr) for a in every for b in every if a != b)
    assert max(len(slot.handle) for slot in every) <= 15, "the kernel's limit for an interface"


def test_the_node_lives_at_the_bridge() -> None:
    assert str(Slot(3).pod_cidr) == "10.247.0.0/16"
    assert Slot(3).server == "https://10.247.0.1:26460"


def test_a_machine_that_uses_the_first_range_gives_another(tmp_path: Path) -> None:
    place = _place(tmp_path, "a")
    chosen = slots.allocate(place, lambda slot: not str(slot.pod_cidr).startswith("10."))
    assert chosen == slots.recorded(place) == Slot(0, 1)
    assert chosen.server == "https://100.64.0.1:26400"


def test_a_slot_of_before_there_were_ranges_can_be_read(tmp_path: Path) -> None:
    place = _place(tmp_path, "a")
    place.folder.mkdir()
    place.slot.write_text("3\n")
    assert slots.recorded(place) == Slot(3)


def test_a_number_is_given_once_whatever_the_range(tmp_path: Path) -> None:
    slots.allocate(_place(tmp_path, "a"), lambda slot: slot.range == 1)
    assert slots.allocate(_place(tmp_path, "b"), _anything_goes) == Slot(1)
