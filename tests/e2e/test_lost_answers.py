"""Lost requests and lost responses at each step of a run's life.

The controller of these tests reaches the apiserver through a proxy, which injects a fault into
the first request of each run's step. The task's lines in the start counter show whether anything
was lost or done twice.
"""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.cluster import Cluster
from tests.cluster import slot as slots
from tests.support.builders.lifecycle_points import NODE_LABEL, lifecycle_points
from tests.support.builders.manifests import pod_spec, shell
from tests.support.builders.scenario_runs import ScenarioRuns
from tests.support.builders.scenarios import LIVES
from tests.support.cluster import invariants
from tests.support.cluster.client import RUNS, Object
from tests.support.cluster.controller_process import ControllerProcess
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.installation import DELETE_DELAY, Installation, stopped
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario
from tests.support.cluster.start_counter import END, START, until
from tests.support.faults.crashing import status_step
from tests.support.faults.fault_proxy import Fault, FaultProxy, ProxiedRequest

pytestmark = pytest.mark.parametrize("installation", ["process"], indirect=True, scope="session")

DONE = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,))
IMPATIENT = pod_spec(terminationGracePeriodSeconds=1)
GONE_ON_WITHIN = 40
"""Limit for the runs that continue by the clock, in seconds."""
RECOVERED = 240
"""Limit for a hundred runs to reach their ends on a busy machine, in seconds."""
HARMS = (Fault.LOST, Fault.UNANSWERED, Fault.CUT, Fault.LATE)
CASES = [(fault, step) for fault in HARMS for step in LIVES]


class FaultInjector:
    """Fault function of the proxy: a fault for each run's first request at the step in its name."""

    def __init__(self) -> None:
        self.met: set[str] = set()
        """Names of the runs that have had their fault."""
        self._wanted = {_name(fault, step): (fault, step) for fault, step in CASES}

    def __call__(self, request: ProxiedRequest) -> Fault | None:
        name, step = _run_and_step(request)
        fault, fault_step = self._wanted.get(name, (None, ""))
        if step != fault_step or name in self.met:
            return None
        self.met.add(name)
        return fault


@pytest.fixture(scope="module")
def fault_injector() -> FaultInjector:
    return FaultInjector()


@pytest.fixture(scope="module")
def fault_proxy(
    installation: Installation,
    cluster: Cluster,
    fault_injector: FaultInjector,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[FaultProxy]:
    """Provide the proxy of the only running controller."""
    with stopped(installation), FaultProxy(cluster.kubeconfig) as fault_proxy:
        fault_proxy.choose_fault = fault_injector
        with _controller(cluster, fault_proxy.kubeconfig(tmp_path_factory.mktemp("way"))).at_work():
            yield fault_proxy


@pytest.fixture(scope="module")
def runs_with_faults(fault_proxy: FaultProxy, scenario: Scenario) -> dict[str, Run]:
    """Create all runs that get a fault, together."""
    assert not fault_proxy.injected
    names = {_name(fault, step): LIVES[step] for fault, step in CASES}
    return {
        name: scenario.create(name, life.spec | scenario.start_counter.mount())
        for name, life in names.items()
    }


@pytest.mark.parametrize(("fault", "step"), CASES, ids=lambda part: getattr(part, "name", part))
def test_nothing_is_lost_or_repeated_when_a_request_or_response_is_lost(
    runs_with_faults: dict[str, Run],
    fault_injector: FaultInjector,
    scenario: Scenario,
    fault: Fault,
    step: str,
) -> None:
    name = _name(fault, step)
    LIVES[step].check(runs_with_faults[name], scenario.start_counter)
    assert name in fault_injector.met


@dataclass(frozen=True, slots=True)
class Missed:
    """A hundred runs at every stage, and objects that ended, vanished or appeared unobserved."""

    scenario_runs: ScenarioRuns
    ends: Run
    goes: Run
    comes: Run


@pytest.fixture(scope="module")
def missed(
    fault_proxy: FaultProxy, scenario: Scenario, limited_namespace: str, cluster: Cluster
) -> Iterator[Missed]:
    """Cut the watches of a hundred runs, and compact away the versions that they missed."""
    scenario_runs = ScenarioRuns(scenario, limited_namespace, GONE_ON_WITHIN)
    word = f"{scenario.namespace}-unwatched"
    ends = scenario.create("ends-unwatched", _counted(scenario, f"{START}; {until(word)}; {END}"))
    goes = scenario.create("goes-unwatched", _counted(scenario, f"{START}; sleep 600", **IMPATIENT))
    scenario_runs.reach_points()
    for run in (ends, goes):
        run.main_started()
    fault_proxy.cut_watches()
    scenario_runs.end_unseen()
    scenario.start_counter.say(word)
    for run in (
        *scenario_runs.runs["ended-well-unseen"],
        *scenario_runs.runs["ended-badly-unseen"],
        ends,
    ):
        run.pod_ended(seconds=RECOVERED)
    goes.delete()
    goes.gone()
    comes = scenario.create("comes-unwatched", _counted(scenario, f"{START}; {END}"))
    cluster.stop("kube-apiserver", grace=0)
    cluster.start("kube-apiserver")
    _compact(cluster, scenario.kube.page(RUNS)["metadata"]["resourceVersion"])
    expired = fault_proxy.expired
    fault_proxy.open_watches()
    scenario_runs.release(cluster)
    scenario.watch_recorder.wait(
        lambda: fault_proxy.expired > expired or None, RECOVERED, "a watch gets 410"
    )
    yield Missed(scenario_runs, ends, goes, comes)
    cluster.kubectl("label", "node", cluster.node_name, f"{NODE_LABEL}-")


@pytest.mark.guarantee(
    "Nothing is lost or repeated when a watch is disconnected and its resource version is "
    "compacted (410), with a hundred runs"
)
@pytest.mark.parametrize("name", lifecycle_points("", "", 0, 1))
def test_runs_recover_after_their_missed_watch_events_were_compacted(
    missed: Missed, scenario: Scenario, name: str
) -> None:
    for run in missed.scenario_runs.runs[name]:
        missed.scenario_runs.lifecycle_points[name].check(run, scenario.start_counter, RECOVERED)


def test_objects_created_ended_or_deleted_without_a_watch_are_reconciled(
    missed: Missed, scenario: Scenario
) -> None:
    for run in (missed.ends, missed.comes):
        DONE.check(run)
        run.pods_gone()
        invariants.check(run)
    missed.goes.pods_gone()
    starts = scenario.start_counter.all_starts()
    assert [starts[run.uid] for run in (missed.ends, missed.goes, missed.comes)] == [1, 1, 1]


def _counted(scenario: Scenario, script: str, **spec: Any) -> Object:
    return shell(script, **spec) | scenario.start_counter.mount()


def _compact(cluster: Cluster, revision: str) -> None:
    """Compact etcd up to a revision."""
    slot = slots.recorded(cluster.place)
    assert slot is not None
    body = json.dumps({"revision": revision, "physical": True}).encode()
    url = f"http://127.0.0.1:{slot.port('etcd')}/v3/kv/compaction"
    with urllib.request.urlopen(url, body, timeout=30) as answer:
        assert answer.status == HTTPStatus.OK


def _controller(cluster: Cluster, kubeconfig: Path) -> ControllerProcess:
    # A request without a response occupies one worker for its whole timeout.
    arguments = ("--default-delete-delay", DELETE_DELAY, "--workers", "64")
    return ControllerProcess(cluster, *arguments, kubeconfig=kubeconfig)


def _name(fault: Fault, step: str) -> str:
    return f"{fault.name.lower()}-{step}"


def _run_and_step(request: ProxiedRequest) -> tuple[str, str]:
    """Return the run that a request is about, and the step of its life."""
    parts = request.path.partition("?")[0].split("/")
    body = json.loads(request.body or b"{}")
    if "taskruns" in parts:
        name = parts[parts.index("taskruns") + 1 :][:1]
        if request.method == "DELETE":
            return name[0], "ttl"
        return (name[0], status_step(body)) if request.method == "PATCH" else ("", "")
    if request.method == "POST":
        return _run_of(body["metadata"]["name"]), "create"
    if request.method == "DELETE":
        return _run_of(parts[-1]), "delete"
    if request.method == "PATCH":
        return _run_of(parts[-1]), _pod_step(body)
    return "", ""


def _run_of(pod: str) -> str:
    return pod.rsplit("-", 2)[0]


def _pod_step(patch: dict[str, dict[str, object]]) -> str:
    if "schedulingGates" in patch.get("spec", {}):
        return "gate"
    return "stop" if "activeDeadlineSeconds" in patch.get("spec", {}) else "finalizer"
