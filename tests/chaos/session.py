"""One session: runs are created, faults happen, all comes to rest, and the truth is read."""

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

from urllib3.exceptions import HTTPError

from benchmarks.throughput import stages
from taskruns.api import names
from taskruns.api.conditions import TERMINAL_PHASES
from tests.chaos.controllers import Controllers
from tests.chaos.judgement import Verdicts, judge
from tests.chaos.load import RUN_MILLISECONDS, SPARE_NODE, Creator, persist, specs
from tests.chaos.schedule import Fault, Kind, faults
from tests.chaos.truth import Truth, stored
from tests.cluster import Cluster
from tests.cluster.tuning import Tuning
from tests.support.cluster.client import NAMESPACES, PODS, RUNS, Kube, Object, Refused, Resource
from tests.support.cluster.definition import serve_definition
from tests.support.cluster.watch_recorder import WatchRecorder

NODES = Resource("/api/v1", "nodes", namespaced=False)
QUOTAS = Resource("/api/v1", "resourcequotas")
QUOTA = "chaos"
ARGUMENTS = ("--log-format=json", "--default-delete-delay=0s", "--resync-seconds=10")
STOP_SECONDS = 3
"""Time in which the apiserver may end by itself; open watches hold it."""
CREATED_IN = 0.8
"""Part of the time of the faults in which the runs are created."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a session does."""

    seed: int
    seconds: float
    """Time of the faults."""
    simulated: int
    """Number of runs on the simulated node."""
    real: int
    """Number of runs on real nodes."""
    settle: float = 300
    """Limit of time in which all must come to rest after the last fault, in seconds."""
    kinds: Sequence[Kind] = tuple(Kind)
    arguments: Sequence[str] = ()
    """Further arguments of the controllers."""


@dataclass
class Outcome:
    """What a session has shown."""

    plan: Plan
    truth: Truth
    verdicts: Verdicts
    faults: Counter[str] = field(default_factory=Counter)
    exits: int = 0
    """Number of controllers that have ended by themselves."""
    settled: float = 0
    """Seconds from the last fault until all was at rest."""
    logs: str = ""


class Session:
    """A session on a cluster that is up."""

    def __init__(self, cluster: Cluster, plan: Plan, say: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._plan = plan
        self._say = say
        self._kube = Kube(cluster.kubeconfig)
        self._watch = WatchRecorder(self._kube)
        self._controllers = Controllers(cluster, *ARGUMENTS, *plan.arguments)
        self._namespace = ""
        self._began = 0.0
        """Time of the first fault, later by the time of all outages so far."""
        self._counts: Counter[str] = Counter()
        self._repairs: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()

    def run(self) -> Outcome:
        """Run the session to its end."""
        cluster, plan = self._cluster, self._plan
        folder = Path(f"/var/tmp/taskruns-chaos-{cluster.name}")
        (folder / "lines").unlink(missing_ok=True)
        with self._prepared():
            start = cluster.audit_log.stat().st_size
            runs = specs(plan.simulated, plan.real, str(folder))
            rate = len(runs) / (CREATED_IN * plan.seconds)
            creator = Creator(self._kube, self._namespace, runs, rate)
            self._controllers.start()
            creator.start()
            self._break_things()
            creator.join()
            settled = self._come_to_rest(len(runs))
            truth = self._read(start, folder / "lines")
            present = [run["metadata"]["uid"] for run in self._list(RUNS)]
            left = [pod["metadata"]["name"] for pod in self._list(PODS) if _is_ours(pod)]
            verdicts = judge(truth, present, left)
            if len(truth.runs) != len(runs):
                verdicts.lost.append(f"{len(runs)} runs were created, and {len(truth.runs)} known")
            exits = self._controllers.exits
            logs = "" if verdicts.clean else self._controllers.log_tails()
            return Outcome(plan, truth, verdicts, self._counts, exits, settled, logs)

    @contextmanager
    def _prepared(self) -> Iterator[None]:
        cluster = self._cluster
        before = Tuning.read(cluster.place)
        cluster.tune(Tuning(audit_objects=True), self._say)
        serve_definition(cluster)
        cluster.simulate_node(stages.configuration(RUN_MILLISECONDS), self._say)
        if Kind.POWER_OFF_NODE in self._plan.kinds:
            cluster.add_node(SPARE_NODE, self._say)
        made = self._kube.create(NAMESPACES, None, {"metadata": {"generateName": "chaos-"}})
        self._namespace = made["metadata"]["name"]
        self._watch.start()
        try:
            yield
        finally:
            self._controllers.stop()
            self._watch.stop()
            persist(lambda: self._kube.delete(NAMESPACES, None, self._namespace))
            if Kind.POWER_OFF_NODE in self._plan.kinds:
                cluster.remove_node(SPARE_NODE)
            cluster.stop("kwok", 0)
            self._kube.delete(NODES, None, cluster.place.simulated_node)
            cluster.tune(before, self._say)
            self._kube.close()

    # ------------------------------------------------------------------------------------ faults

    def _break_things(self) -> None:
        """Carry out the schedule; a fault that is late because of the one before follows it."""
        self._began = time.monotonic()
        for fault in faults(self._plan.seed, self._plan.seconds, self._plan.kinds):
            self._wait_until(self._began + fault.at)
            self._say(f"{fault.at:5.0f} s  {fault.kind}")
            if self._cause(fault):
                self._counts[fault.kind] += 1
        self._wait_until(self._began + self._plan.seconds)
        while self._repairs:
            heapq.heappop(self._repairs)[2]()
        self._controllers.heal()

    def _wait_until(self, moment: float) -> None:
        """Wait, and meanwhile carry out the repairs that are due."""
        while (now := time.monotonic()) < moment:
            while self._repairs and self._repairs[0][0] <= now:
                heapq.heappop(self._repairs)[2]()
            self._controllers.supervise()
            time.sleep(min(0.1, max(0.0, moment - now)))

    def _later(self, seconds: float, repair: Callable[[], object]) -> None:
        heapq.heappush(self._repairs, (time.monotonic() + seconds, next(self._order), repair))

    def _cause(self, fault: Fault) -> bool:
        """Cause a fault; return whether there was a target for it."""
        match fault.kind:
            case Kind.KILL_CONTROLLER:
                killed = self._controllers.kill(fault.choice)
                self._later(fault.seconds, lambda: self._controllers.restart(killed))
            case Kind.FREEZE_CONTROLLER:
                frozen = self._controllers.freeze(fault.choice)
                self._later(fault.seconds, lambda: self._controllers.thaw(frozen))
            case Kind.STOP_APISERVER | Kind.KILL_APISERVER | Kind.KILL_ETCD:
                self._interrupt(fault)
            case Kind.TAKE_QUOTA:
                self._set_quota(fault.seconds)
            case Kind.DELETE_NODE | Kind.POWER_OFF_NODE:
                self._take_node(fault)
            case _:
                return self._harm_a_run(fault)
        return True

    def _interrupt(self, fault: Fault) -> None:
        """Stop the apiserver or etcd for some seconds."""
        component = "etcd" if fault.kind is Kind.KILL_ETCD else "kube-apiserver"
        before = time.monotonic()
        self._cluster.stop(component, STOP_SECONDS if fault.kind is Kind.STOP_APISERVER else 0)
        time.sleep(fault.seconds)  # no repair meanwhile: it could not reach the apiserver
        self._cluster.start(component, self._say)
        self._began += time.monotonic() - before  # later faults do not catch up

    def _set_quota(self, seconds: float) -> None:
        quota = {"metadata": {"name": QUOTA}, "spec": {"hard": {"pods": "3"}}}
        persist(lambda: self._kube.create(QUOTAS, self._namespace, quota))
        remove = partial(self._kube.delete, QUOTAS, self._namespace, QUOTA)
        self._later(seconds, partial(persist, remove))

    def _take_node(self, fault: Fault) -> None:
        cluster = self._cluster
        if fault.kind is Kind.DELETE_NODE:
            name = cluster.place.simulated_node
            persist(lambda: self._kube.delete(NODES, None, name))
            stages_ = stages.configuration(RUN_MILLISECONDS)
            self._later(fault.seconds, partial(cluster.simulate_node, stages_, self._say))
        else:
            cluster.remove_node(SPARE_NODE)
            self._later(fault.seconds, partial(cluster.add_node, SPARE_NODE, self._say))

    def _harm_a_run(self, fault: Fault) -> bool:
        """Delete or evict a Pod, or cancel a run; return whether there was one."""
        resource = RUNS if fault.kind is Kind.CANCEL_RUN else PODS
        active = [each for each in self._list(resource) if _is_active(each)]
        if not active:
            return False
        chosen = sorted(each["metadata"]["name"] for each in active)
        name = chosen[int(fault.choice * len(chosen))]
        try:
            if fault.kind is Kind.CANCEL_RUN:
                self._kube.merge(RUNS, self._namespace, name, {"spec": {"cancel": True}})
            elif fault.kind is Kind.EVICT_POD:
                self._kube.evict(self._namespace, name)
            else:
                self._kube.delete(PODS, self._namespace, name)
        except (Refused, HTTPError, OSError):
            return False  # it has ended meanwhile
        return True

    # -------------------------------------------------------------------------------------- end

    def _come_to_rest(self, number: int) -> float:
        """Wait until every run has ended and no Pod of one is left; return how long it took."""
        began = time.monotonic()
        while time.monotonic() < began + self._plan.settle:
            self._controllers.supervise()
            runs = self._list(RUNS)
            active = [run for run in runs if _is_active(run)]
            pods = [pod for pod in self._list(PODS) if _is_ours(pod)]
            if not active and not pods:
                break
            self._say(f"  {len(active)} of {number} runs are active, {len(pods)} Pods exist")
            time.sleep(1)
        return time.monotonic() - began

    def _list(self, resource: Resource) -> list[Object]:
        listed: list[Object] = []
        persist(lambda: listed.extend(self._kube.list(resource, self._namespace)))
        return listed

    def _read(self, start: int, lines: Path) -> Truth:
        truth = Truth()
        stored(self._cluster.audit_log, start, self._namespace, truth)
        for resource, kind in ((RUNS, names.KIND), (PODS, "Pod")):
            for last in self._watch.ever(resource):
                if last["metadata"]["namespace"] == self._namespace:
                    for version in self._watch.history(last["metadata"]["uid"]):
                        truth.take({**version.found, "kind": kind})
        truth.close(lines.read_text().splitlines() if lines.exists() else ())
        return truth


def _is_active(obj: Object) -> bool:
    return (obj.get("status") or {}).get("phase") not in {*TERMINAL_PHASES, "Succeeded", "Failed"}


def _is_ours(pod: Object) -> bool:
    return names.LABEL_UID in (pod["metadata"].get("labels") or {})
