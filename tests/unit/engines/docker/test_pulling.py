from typing import Any

from taskruns.engines.docker.pulling import Pull


def told(layer: str, status: str, current: int = 0, total: int = 0) -> dict[str, Any]:
    return {"id": layer, "status": status, "progressDetail": {"current": current, "total": total}}


def test_a_pull_tells_how_much_of_what_it_knows_of_is_here() -> None:
    pull = Pull("busybox:1")
    pull.note({"status": "Pulling from library/busybox", "id": "1"})
    assert str(pull) == "pulling busybox:1"
    pull.note(told("a", "Downloading", 10, 100))
    assert str(pull) == "pulling busybox:1: 10 %"
    pull.note(told("b", "Downloading", 50, 100))
    assert str(pull) == "pulling busybox:1: 30 %"
    pull.note(told("a", "Download complete"))
    assert str(pull) == "pulling busybox:1: 75 %"
    pull.note(told("a", "Extracting", 1, 1000))
    assert str(pull) == "pulling busybox:1: 75 %"


def test_it_never_goes_back_when_another_layer_comes_to_be_known() -> None:
    pull = Pull("busybox:1")
    pull.note(told("a", "Downloading", 90, 100))
    pull.note(told("b", "Downloading", 0, 900))
    assert str(pull) == "pulling busybox:1: 90 %"


def test_what_makes_no_sense_is_passed_over() -> None:
    pull = Pull("busybox:1")
    for piece in ({}, {"status": None}, told("a", "Downloading"), {"progressDetail": 3, "id": 4}):
        pull.note(piece)
    assert str(pull) == "pulling busybox:1"
