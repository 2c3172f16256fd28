"""Other releases of Kubernetes: their selection, their module, and the clusters that keep them."""

from pathlib import Path

import pytest

from tests.cluster import ClusterError, binary, release
from tests.cluster.place import Place

PINNED = binary.KUBERNETES.kubernetes
UPSTREAM = {
    "Go": "1.22.0",
    "Godebug": [{"Key": "default", "Value": "go1.22"}],
    "Require": [
        {"Path": "github.com/spf13/cobra", "Version": "v1.7.0"},
        {"Path": "k8s.io/api", "Version": "v0.0.0"},
    ],
    "Replace": [
        {"Old": {"Path": "k8s.io/api"}, "New": {"Path": "./staging/src/k8s.io/api"}},
        {"Old": {"Path": "example.test/a"}, "New": {"Path": "example.test/b", "Version": "v1.0.0"}},
    ],
}


@pytest.mark.parametrize(
    ("value", "expected"), [("", ""), (" ", ""), ("1.31.14", "1.31.14"), ("v1.31.14", "1.31.14")]
)
def test_the_environment_selects_a_release(value: str, expected: str) -> None:
    assert release.requested({"KUBERNETES": value}) == expected


def test_without_the_variable_the_pinned_release_is_used() -> None:
    assert release.requested({}) == ""
    assert release.of("") is release.of(PINNED) is binary.KUBERNETES


@pytest.mark.parametrize(
    "value", ["1.31", "1.31.x", "2.0.0", "latest", "1.31.14;true", "../1.31.1"]
)
def test_anything_but_a_release_is_refused(value: str) -> None:
    with pytest.raises(ClusterError, match="is not a release: write one such as 1"):
        release.requested({"KUBERNETES": value})


def test_a_release_has_its_own_programs_and_version() -> None:
    old, older = release.of("1.31.14"), release.of("1.30.14")
    assert len({old.built, older.built, binary.KUBERNETES.built}) == 3
    assert "gitVersion=v1.31.14" in " ".join(old.flags())
    assert "k8s.io/kubernetes/cmd/kubelet" in old.targets
    assert old.programs == binary.KUBERNETES.programs


def test_the_module_takes_staging_modules_of_the_same_release_from_the_proxy() -> None:
    lines = release.go_mod("1.31.14", UPSTREAM).splitlines()
    assert lines == [
        "module taskruns.dev/kubernetes-1.31.14",
        "go 1.22.0",
        "godebug default=go1.22",
        "require k8s.io/kubernetes v1.31.14",
        "require github.com/spf13/cobra v1.7.0",
        "require k8s.io/api v0.0.0",
        "replace k8s.io/api => k8s.io/api v0.31.14",
    ]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place("old", tmp_path / "old")


def test_a_cluster_keeps_the_release_that_it_was_created_with(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES", "1.31.14")
    release.record(place)
    place.slot.write_text("0")
    assert release.recorded(place).kubernetes == "1.31.14"
    monkeypatch.delenv("KUBERNETES")
    release.record(place)
    assert release.recorded(place).kubernetes == "1.31.14"
    monkeypatch.setenv("KUBERNETES", "1.30.14")
    with pytest.raises(
        ClusterError, match=r"runs Kubernetes 1\.31\.14, not 1\.30\.14: take it down"
    ):
        release.record(place)


def test_a_cluster_without_a_record_has_the_pinned_release(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.folder.mkdir()
    place.slot.write_text("0")
    assert release.recorded(place) is binary.KUBERNETES
    monkeypatch.setenv("KUBERNETES", PINNED)
    release.record(place)
