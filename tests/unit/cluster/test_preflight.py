"""`make demo` lists what is missing before it does anything, and names its cluster."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import Cluster, ClusterError, binary, kind, package, place
from tests.cluster.kind import KindDriver, parse_version
from tests.cluster.local import LocalDriver
from tools.demo import preflight
from tools.demo.__main__ import make

ROOT = Path(__file__).parents[3]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    monkeypatch.setattr("tests.cluster.place.LONGEST_FOLDER", 1000)
    return Cluster("demo")


def _lacking(
    monkeypatch: pytest.MonkeyPatch, kind: list[str], local: list[str], *, docker: bool = False
) -> None:
    monkeypatch.setattr(KindDriver, "obstacles", staticmethod(lambda: kind))
    monkeypatch.setattr(LocalDriver, "obstacles", staticmethod(lambda: local))
    monkeypatch.setattr(preflight, "docker_answers", lambda: docker)


def test_kind_is_used_where_it_can_be(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    _lacking(monkeypatch, kind=[], local=[])
    assert preflight.check(cluster) == "kind"
    assert "by kind, on the Docker daemon" in preflight.describe("kind")


def test_local_processes_are_used_where_kind_cannot_be(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lacking(monkeypatch, kind=["no kind"], local=[])
    assert preflight.check(cluster) == "local"


def test_a_cluster_that_exists_keeps_its_driver(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lacking(monkeypatch, kind=["no kind"], local=["no root"])
    cluster.place.folder.mkdir(parents=True)
    cluster.place.driver.write_text("kind\n")
    assert preflight.check(cluster) == "kind"


@pytest.mark.parametrize(
    ("docker", "advice"),
    [
        (True, "A Docker daemon is running: `make demo-docker` runs the same tasks on it."),
        (False, "start a Docker daemon and run `make demo-docker`"),
    ],
)
def test_all_that_is_missing_is_listed_with_the_alternative(
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    docker: bool,  # noqa: FBT001
    advice: str,
) -> None:
    _lacking(monkeypatch, kind=["no kind"], local=["no root", "no Go"], docker=docker)
    with pytest.raises(ClusterError) as error:
        preflight.check(cluster)
    for words in ("no kind", "no root", "no Go", advice):
        assert words in str(error.value)


def test_a_machine_without_root_and_go_is_told_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(place, "cache", lambda: Path("/nowhere"))
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    root, go, packages = LocalDriver.obstacles()
    assert root.startswith("not root: ")
    assert go.startswith("Go 1.26 or newer is needed")
    assert "containerd" in packages


def test_root_on_debian_gets_missing_packages_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(binary, "go_obstacle", lambda _: None)
    monkeypatch.setattr(package, "missing", lambda _: ["runc"])
    monkeypatch.setattr(shutil, "which", lambda *_, **__: "/usr/bin/apt-get")
    assert LocalDriver.obstacles() == []


def test_missing_programs_of_kind_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/x" if name == "docker" else None)
    assert KindDriver.obstacles() == ["not installed: kind, kubectl, helm"]


@pytest.mark.parametrize(
    ("version", "obstacles"),
    [
        ("kind v0.32.0 go1.26.3 linux/amd64\n", []),
        ("kind v1.0.0 go1.27.0 linux/amd64\n", []),
        ("kind v0.31.0 go1.25.5 linux/amd64\n", ["kind 0.32"]),
        ("nonsense", ["kind 0.32"]),
    ],
)
def test_an_older_kind_is_refused(
    version: str, obstacles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(argv: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess(argv, 0, version, "")

    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(kind, "run", run)
    found = KindDriver.obstacles()
    assert [obstacle.partition(", and")[0] for obstacle in found] == [
        f"{obstacle} or newer is needed" for obstacle in obstacles
    ]


def test_a_version_is_parsed() -> None:
    assert parse_version("kind v0.32.0 go1.26.3 linux/amd64") == (0, 32)
    assert parse_version("") == ()


def test_a_cluster_of_another_name_is_named_in_the_commands() -> None:
    assert make("demo-down", "demo") == "make demo-down"
    assert make("demo-down", "mine") == "TASKRUNS_DEMO_CLUSTER=mine make demo-down"


def test_the_demo_needs_no_packages() -> None:
    """Without site-packages, as on a machine where nothing was set up."""
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import tools.demo.__main__"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
