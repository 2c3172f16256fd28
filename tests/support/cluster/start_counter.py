"""The start counter: a count of real starts, because every container appends a line to a file.

The controller's view may be wrong in the very way that a test checks; a line that the container
itself wrote is not. The file is on a node. Where the node is this machine, the file is read
directly; elsewhere it is read through a Pod, which costs a `kubectl exec` each time.
"""

from collections import Counter
from pathlib import Path
from shutil import rmtree
from typing import Any

from tests.cluster import Cluster
from tests.support.cluster.client import NAMESPACES, PODS, Kube, Object
from tests.support.cluster.watch_recorder import WatchRecorder

NAMESPACE = "e2e-start-counter"
_MOUNT = "/starts"

START = f'echo "$TASKRUN_UID start" >> {_MOUNT}/lines'
"""Shell command that a task runs first, to be counted as started."""

END = f'echo "$TASKRUN_UID end" >> {_MOUNT}/lines'
"""Shell command that a task runs last, to be counted as ended."""

STAYS = f"{START}; sleep 600"
"""Script of a task that runs for 600 s unless it is stopped."""

ONCE = f'{START}; [ "$TASKRUN_ATTEMPT" -ge 2 ] || sleep 600'
"""Script of a task whose first attempt runs until it is stopped, and whose next succeeds."""

UNTIL_CUE = f"until [ -e {_MOUNT}/cue-$TASKRUN_UID ]; do sleep 0.2; done"
"""Shell command that waits until the test calls `cue`."""


def until(word: str) -> str:
    """Return a shell command that waits until a test calls `say` with this word."""
    return f"until [ -e {_MOUNT}/{word} ]; do sleep 1; done"


class StartCounter:
    """The lines of all tasks of one session."""

    def __init__(self, cluster: Cluster, kube: Kube, watch_recorder: WatchRecorder) -> None:
        self._cluster = cluster
        self._kube = kube
        self._watch_recorder = watch_recorder
        self._pod = ""

    def open(self) -> None:
        if self._cluster.node_is_this_machine:
            rmtree(self._folder, ignore_errors=True)  # words of a session that was killed
            self._folder.mkdir(exist_ok=True)
            return
        if self._kube.get(NAMESPACES, None, NAMESPACE) is None:
            self._kube.create(NAMESPACES, None, {"metadata": {"name": NAMESPACE}})
        made = self._kube.create(PODS, NAMESPACE, self._reader())
        self._pod = made["metadata"]["name"]
        uid = made["metadata"]["uid"]
        self._watch_recorder.wait(
            lambda: self._ready(uid), 60, "the Pod that reads the start counts is running"
        )
        self._clear()

    def close(self) -> None:
        if self._cluster.node_is_this_machine:
            rmtree(self._folder, ignore_errors=True)  # a container may still write
            return
        self._clear()
        self._kube.delete(NAMESPACES, None, NAMESPACE)

    def starts(self, run_uid: str) -> int:
        return self._count(run_uid, "start")

    def ends(self, run_uid: str) -> int:
        return self._count(run_uid, "end")

    def all_starts(self) -> Counter[str]:
        """Return how often each run's task has started, by the run's uid."""
        lines = self._lines()
        return Counter(uid for uid, word in lines if word == "start")

    def cue(self, run_uid: str) -> None:
        """Release a task that waits with `UNTIL_CUE`."""
        word = f"cue-{run_uid}"
        if self._cluster.node_is_this_machine:
            self.say(word)
        else:
            self._read("touch", f"{_MOUNT}/{word}")

    def say(self, word: str) -> None:
        """Release every task that waits for this word, even while the apiserver is down.

        The node is this machine wherever a component can be stopped.
        """
        (self._folder / word).touch()

    def mount(self) -> dict[str, Any]:
        """Return the fields of a TaskRun's spec that let its task write here."""
        return {
            "volumes": [{"name": "starts", "hostPath": self._host_path()}],
            "volumeMounts": [{"name": "starts", "mountPath": _MOUNT}],
        }

    def _count(self, run_uid: str, word: str) -> int:
        return self._lines().count((run_uid, word))

    def _lines(self) -> list[tuple[str, str]]:
        if self._cluster.node_is_this_machine:
            lines = self._folder / "lines"
            text = lines.read_text() if lines.exists() else ""
        else:
            text = self._read("sh", "-c", f"cat {_MOUNT}/lines 2>/dev/null || true")
        return [(uid, word) for uid, word in (line.split() for line in text.splitlines())]

    def _clear(self) -> None:
        self._read("sh", "-c", f"rm -rf {_MOUNT}/*")

    def _read(self, *command: str) -> str:
        return self._cluster.kubectl("exec", "-n", NAMESPACE, self._pod, "--", *command).stdout

    def _ready(self, uid: str) -> bool | None:
        last = self._watch_recorder.last(uid)
        return True if last and last.found["status"].get("phase") == "Running" else None

    @property
    def _folder(self) -> Path:
        return Path(f"/var/tmp/taskruns-e2e-{self._cluster.name}")

    def _host_path(self) -> dict[str, str]:
        return {"path": str(self._folder), "type": "DirectoryOrCreate"}

    def _reader(self) -> Object:
        container = {
            "name": "main",
            "image": "busybox:1",
            "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"],
            "volumeMounts": [{"name": "starts", "mountPath": _MOUNT}],
        }
        return {
            "metadata": {"generateName": "reader-"},
            "spec": {
                "containers": [container],
                "terminationGracePeriodSeconds": 1,
                "volumes": [{"name": "starts", "hostPath": self._host_path()}],
            },
        }
