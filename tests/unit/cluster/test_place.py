"""Folders of test clusters."""

from pathlib import Path

import pytest

from tests.cluster import place
from tests.cluster.error import ClusterError
from tests.cluster.place import Place


def test_folders_follow_the_xdg_variables() -> None:
    environ = {"HOME": "/h", "XDG_CACHE_HOME": "/c", "XDG_STATE_HOME": "/s"}
    assert place.cache(environ) == Path("/c/taskruns")
    assert Place.of("test", environ).folder == Path("/s/taskruns/clusters/test")


@pytest.mark.parametrize("given", [{}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}])
def test_without_a_proper_variable_the_home_is_used(given: dict[str, str]) -> None:
    expected = Path("/h/.local/state/taskruns/clusters/test")
    assert Place.of("test", {"HOME": "/h", **given}).folder == expected


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "A", "-a", "a-", "a" * 31, "a.b"])
def test_a_name_that_would_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(ClusterError, match="is not a valid cluster name"):
        Place.of(name, {"HOME": "/h"})


def test_a_path_that_no_socket_could_have_is_refused() -> None:
    with pytest.raises(ClusterError, match="is too long for the paths of sockets"):
        Place.of("test", {"HOME": "/h" + "o" * 60 + "me"})


def test_only_whole_clusters_are_listed(tmp_path: Path) -> None:
    environ = {"HOME": "/h", "XDG_STATE_HOME": str(tmp_path)}
    assert list(place.all_names(environ)) == []
    for name in ("b", "a", ".a.removed"):
        (place.clusters(environ) / name).mkdir(parents=True)
    (place.clusters(environ) / ".a.lock").touch()
    assert list(place.all_names(environ)) == ["a", "b"]
