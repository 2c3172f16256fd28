"""Reports of `make demo` while it waits for the controller."""

import threading
from typing import Any

import pytest
from typing_extensions import override

from tools.demo import waiting
from tools.demo.commands import CommandFailed, Commands, Object
from tools.demo.screen import Screen

NAME = "taskruns-1"


class Controller(Commands):
    """A controller with a Pod and a log."""

    def __init__(self, log: str = "", previous: str = "", **status: Any) -> None:
        self._logs = {"": log, "--previous": previous}
        metadata = {"name": NAME, "creationTimestamp": "2026-01-01T00:00:00Z"}
        self.pods: list[Object] = [{"metadata": metadata, "status": status}] if status else []
        self.looks = 0

    @override
    def read(self, line: str) -> Object:
        assert "--namespace taskruns-system" in line
        self.looks += 1
        return {"items": self.pods}

    @override
    def run(self, line: str, *more: str) -> str:
        log = self._logs["--previous" if "--previous" in line else ""]
        if not log:
            raise CommandFailed("container is waiting to start")
        return log


def _container(ready: bool = False, restarts: int = 0, **state: Any) -> list[Object]:  # noqa: FBT001, FBT002
    return [{"state": state, "ready": ready, "restartCount": restarts}]


PULL = {"reason": "ErrImagePull", "message": "no such image"}
UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available",
}


@pytest.mark.parametrize(
    ("controller", "words"),
    [
        (Controller(), "the controller has no Pod yet"),
        (
            Controller(phase="Pending", conditions=[UNSCHEDULABLE]),
            f"Pod {NAME}: Unschedulable (0/1 nodes are available)",
        ),
        (
            Controller(phase="Pending", containerStatuses=_container(waiting=PULL)),
            f"Pod {NAME}: ErrImagePull (no such image)",
        ),
        (
            Controller(
                "starting\nno TaskRun resource\n",
                phase="Running",
                containerStatuses=_container(running={}),
            ),
            f"Pod {NAME}: Running, not ready; its log ends with: no TaskRun resource",
        ),
        (
            Controller(
                previous="bad --workers\n",
                phase="Running",
                containerStatuses=_container(restarts=2, waiting={"reason": "CrashLoopBackOff"}),
            ),
            f"Pod {NAME}: CrashLoopBackOff, restarted 2 times; its log ends with: bad --workers",
        ),
    ],
    ids=["no Pod", "no node", "no image", "not ready", "crashing"],
)
def test_the_state_is_the_pods_and_the_logs_last_line(controller: Controller, words: str) -> None:
    assert waiting.describe(controller, "taskruns-system") == words


class Lines(Screen):
    """A screen that records what it would show."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.changed = threading.Event()

    @override
    def progress(self, text: str) -> None:
        self.shown.append(text)
        self.changed.set()


def test_a_state_is_shown_while_the_block_runs_and_once() -> None:
    controller, lines = Controller(phase="Pending"), Lines()
    with waiting.reporting(controller, lines, "taskruns-system", seconds=0.001):
        assert lines.changed.wait(10)
        looks = controller.looks
        while controller.looks < looks + 3:
            threading.Event().wait(0.001)
    assert lines.shown == [f"... Pod {NAME}: Pending"]
