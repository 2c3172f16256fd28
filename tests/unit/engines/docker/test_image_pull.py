from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from taskruns.engines.docker.daemon import Daemon, DaemonError
from taskruns.engines.docker.engine import DockerEngine
from taskruns.engines.docker.image_pull import Pull, pull_policy
from taskruns.engines.docker.pod_status import StartError
from taskruns.engines.docker.runtime import Runtime
from taskruns.engines.docker.state_file import StateFile
from tests.support.builders.objects import at, stamp

POD: dict[str, Any] = {
    "metadata": {"name": "hello-1", "namespace": "default", "uid": "pod-1"},
    "spec": {"containers": [{"name": "main", "image": "busybox:1"}]},
}


def container_status(layer: str, status: str, current: int = 0, total: int = 0) -> dict[str, Any]:
    return {"id": layer, "status": status, "progressDetail": {"current": current, "total": total}}


def test_a_pull_reports_the_downloaded_share_of_known_layers() -> None:
    pull = Pull("busybox:1")
    pull.note({"status": "Pulling from library/busybox", "id": "1"})
    assert str(pull) == "pulling busybox:1"
    pull.note(container_status("a", "Downloading", 10, 100))
    assert str(pull) == "pulling busybox:1: 10 %"
    pull.note(container_status("b", "Downloading", 50, 100))
    assert str(pull) == "pulling busybox:1: 30 %"
    pull.note(container_status("a", "Download complete"))
    assert str(pull) == "pulling busybox:1: 75 %"
    pull.note(container_status("a", "Extracting", 1, 1000))
    assert str(pull) == "pulling busybox:1: 75 %"


def test_progress_never_decreases_when_a_layer_is_added() -> None:
    pull = Pull("busybox:1")
    pull.note(container_status("a", "Downloading", 90, 100))
    pull.note(container_status("b", "Downloading", 0, 900))
    assert str(pull) == "pulling busybox:1: 90 %"


def test_invalid_progress_messages_are_ignored() -> None:
    pull = Pull("busybox:1")
    for piece in (
        {},
        {"status": None},
        container_status("a", "Downloading"),
        {"progressDetail": 3, "id": 4},
    ):
        pull.note(piece)
    assert str(pull) == "pulling busybox:1"


async def test_a_repeated_pull_is_recorded_as_one(tmp_path: Path) -> None:
    class Registry:
        failures = 1

        async def has_image(self, _image: str) -> bool:
            return False

        async def pull(self, _image: str, _tell: Callable[[dict[str, Any]], None]) -> None:
            self.failures -= 1
            if self.failures >= 0:
                raise DaemonError(500, "not now")

    file, daemon = StateFile(tmp_path, "default", "hello"), cast(Daemon, Registry())
    async with file.change() as record:
        record.pods["hello-1"] = POD
    seconds = iter(range(10))
    place = Runtime(file, daemon, lambda: at(next(seconds)))
    assert await place.fetch_image(POD) == StartError("ErrImagePull", "not now")
    assert (await file.read()).pulls == {"hello-1": {"began": stamp(0)}}
    assert await place.fetch_image(POD) is None
    assert (await file.read()).pulls == {"hello-1": {"began": stamp(0), "ended": stamp(2)}}


async def test_a_pull_is_visible_while_it_lasts(tmp_path: Path) -> None:
    progress: list[str] = []

    class Registry:
        async def has_image(self, _image: str) -> bool:
            return False

        async def pull(self, _image: str, tell: Callable[[dict[str, Any]], None]) -> None:
            tell(container_status("a", "Downloading", 10, 100))
            progress.append(str(place.pull))

    file, daemon = StateFile(tmp_path, "default", "hello"), cast(Daemon, Registry())
    place = Runtime(file, daemon, lambda: datetime.now(UTC))
    assert await place.fetch_image(POD) is None
    assert progress == ["pulling busybox:1: 10 %"]
    assert place.pull is None


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("busybox", "Always"),
        ("busybox:latest", "Always"),
        ("host:5000/busybox", "Always"),
        ("host:5000/team/busybox:latest", "Always"),
        (f"busybox:latest@sha256:{64 * 'a'}", "Always"),
        ("busybox:1", "IfNotPresent"),
        ("host:5000/busybox:1", "IfNotPresent"),
        (f"host:5000/busybox@sha256:{64 * 'a'}", "IfNotPresent"),
        (f"busybox:1@sha256:{64 * 'a'}", "IfNotPresent"),
        (f"sha256:{64 * 'a'}", "IfNotPresent"),
        (64 * "a", "IfNotPresent"),
    ],
)
def test_the_default_pull_policy_is_that_of_a_cluster(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


class HasAll:
    """A daemon that has every image and can pull none."""

    def __init__(self) -> None:
        self.pulled: list[str] = []

    async def has_image(self, _image: str) -> bool:
        return True

    async def pull(self, image: str, _tell: object) -> None:
        self.pulled.append(image)
        raise DaemonError(404, "not found")


@pytest.mark.parametrize(
    ("image", "policy", "pulled"),
    [
        ("tool", {}, ["tool"]),
        ("tool", {"imagePullPolicy": ""}, ["tool"]),
        ("tool:latest", {}, ["tool:latest"]),
        ("tool:1", {}, []),
        ("tool:1", {"imagePullPolicy": "Always"}, ["tool:1"]),
        ("tool", {"imagePullPolicy": "IfNotPresent"}, []),
        ("tool", {"imagePullPolicy": "Never"}, []),
    ],
)
async def test_a_present_image_is_pulled_with_policy_always(
    tmp_path: Path, image: str, policy: dict[str, str], pulled: list[str]
) -> None:
    daemon = HasAll()
    file = StateFile(tmp_path, "default", "hello")
    place = Runtime(file, cast(Daemon, daemon), lambda: datetime.now(UTC))
    main = {"name": "main", "image": image, **policy}
    manifest = {"metadata": {"name": "hello-1"}, "spec": {"containers": [main]}}
    pod = await DockerEngine(file, place.now).create_pod(manifest)
    error = await place.fetch_image(pod)
    assert daemon.pulled == pulled
    assert (error is None) == (not pulled)
    if error is not None:
        advised = "set imagePullPolicy: IfNotPresent" in error.message
        assert advised == (":1" not in image)
