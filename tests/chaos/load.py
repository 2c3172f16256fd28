"""The runs of one session: what each does, and their creation at a steady rate."""

import threading
import time
from collections.abc import Callable
from functools import partial

from urllib3.exceptions import HTTPError

from benchmarks.throughput.stages import FAIL_TWICE, HOLD
from benchmarks.throughput.system import Task
from tests.support.builders.manifests import shell, task_run
from tests.support.cluster import spare_nodes
from tests.support.cluster.client import RUNS, Kube, Object, Refused

RUN_MILLISECONDS = 2000
"""Run time of a simulated Pod; `tests.chaos.session` gives it to kwok."""

SPARE_NODE = 1
"""Number of the spare node that real Pods prefer, and that is powered off."""

REPEATABLE: Object = {"backoffLimit": 2, "disruptionLimit": 50, "backoff": {"duration": "1s"}}
_MOUNT = "/chaos"
_CONFLICT = 409


def specs(simulated: int, real: int, folder: str) -> dict[str, Object]:
    """Return the specs of all runs by name, in the order of their creation.

    Args:
        simulated: number of runs on the simulated node.
        real: number of runs on real nodes.
        folder: folder of the machine in which their containers write lines.
    """
    result: dict[str, Object] = {}
    every = max(1, simulated // max(real, 1))
    for number in range(max(simulated, real * every)):
        if number < simulated:
            result[f"simulated-{number:04d}"] = _simulated(number)
        if number % every == 0 and number // every < real:
            result[f"real-{number // every:03d}"] = _real(number // every, folder)
    return result


def _simulated(number: int) -> Object:
    """Return the spec of a run on the simulated node; one of ten kinds."""
    labels: dict[str, str] = {}
    spec: Object = dict(REPEATABLE)
    match number % 10:
        case 0 | 1:
            spec = {}  # its work is never repeated
        case 2:
            labels = FAIL_TWICE
        case 3:
            labels, spec = HOLD, {**REPEATABLE, "activeDeadlineSeconds": 15}
        case 4:
            spec["ttlSecondsAfterFinished"] = 5
        case _:
            pass
    template = {"metadata": {"labels": labels}, "spec": Task().placement}
    return {"image": "busybox:1", "command": ["true"], "template": template, **spec}


def _real(number: int, folder: str) -> Object:
    """Return the spec of a run whose container writes a line each half second while it works."""
    beats, code = 4 + number % 12, 3 if number % 5 == 0 else 0
    line = f'"$TASKRUN_UID $TASKRUN_ATTEMPT $u" >> {_MOUNT}/lines'
    beat = f"read u rest < /proc/uptime; echo {line}"
    failing = f'[ {code} -eq 0 ] || [ "$TASKRUN_ATTEMPT" -ge 2 ] || exit {code}'
    script = f"i=0; while [ $i -lt {beats} ]; do {beat}; sleep 0.5; i=$((i+1)); done; {failing}"
    limits = {} if number % 4 == 1 else REPEATABLE
    volume = {"name": "chaos", "hostPath": {"path": folder, "type": "DirectoryOrCreate"}}
    return shell(
        script,
        volumes=[volume],
        volumeMounts=[{"name": "chaos", "mountPath": _MOUNT}],
        **spare_nodes.on(SPARE_NODE, away_seconds=1),
        **limits,
    )


class Creator:
    """A thread that creates the runs, and repeats every request that gets no answer."""

    def __init__(self, kube: Kube, namespace: str, runs: dict[str, Object], rate: float) -> None:
        self._kube = kube
        self._namespace = namespace
        self._runs = runs
        self._rate = rate
        self._thread = threading.Thread(target=self._create_all, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _create_all(self) -> None:
        began = time.monotonic()
        for number, (name, spec) in enumerate(self._runs.items()):
            time.sleep(max(0.0, began + number / self._rate - time.monotonic()))
            persist(partial(self._kube.create, RUNS, self._namespace, self._manifest(name, spec)))

    def _manifest(self, name: str, spec: Object) -> Object:
        return task_run(name, self._namespace, spec)


def persist(request: Callable[[], object], within: float = 120.0) -> object:
    """Repeat a request until the apiserver answers it; a conflict counts as an answer."""
    deadline = time.monotonic() + within
    while True:
        try:
            return request()
        except Refused as refused:
            if refused.status == _CONFLICT:
                return None
            if 400 <= refused.status < 500 and refused.status != 429:
                raise
            late: Exception = refused
        except (HTTPError, OSError) as error:
            late = error
        if time.monotonic() > deadline:
            raise late
        time.sleep(0.2)
