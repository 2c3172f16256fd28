"""Lost requests and lost responses at each step of a run's life.

The controller of these tests reaches the apiserver through a proxy, which harms the first request
of each run's step. The task's lines in the ledger show whether anything was lost or done twice.
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
from tests.support.builders.lifecycle_points import NODE_LABEL, standings
from tests.support.builders.manifests import pod_spec, shell
from tests.support.builders.scenario_runs import Crowd
from tests.support.builders.scenarios import LIVES
from tests.support.cluster import invariants
from tests.support.cluster.client import RUNS, Object
from tests.support.cluster.controller_process import ControllerProcess
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.installation import DELETE_DELAY, Installation, stopped
from tests.support.cluster.namespace import Stage
from tests.support.cluster.run import Run
from tests.support.cluster.start_counter import END, START, until
from tests.support.faults.crashing import status_step
from tests.support.faults.fault_proxy import Detour, Harm, Passing

pytestmark = pytest.mark.parametrize("installation", ["process"], indirect=True, scope="session")

DONE = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,))
IMPATIENT = pod_spec(terminationGracePeriodSeconds=1)
GONE_ON_WITHIN = 40
"""Limit for the runs that continue by the clock, in seconds."""
RECOVERED = 240
"""Limit for a hundred runs to reach their ends on a busy machine, in seconds."""
HARMS = (Harm.LOST, Harm.UNANSWERED, Harm.CUT, Harm.LATE)
CASES = [(harm, step) for harm in HARMS for step in LIVES]


class Misfortune:
    """Fault function of the proxy: it harms a run's first request at the step in the run's name."""

    def __init__(self) -> None:
        self.met: set[str] = set()
        """Names of the runs that have had their fault."""
        self._wanted = {_name(harm, step): (harm, step) for harm, step in CASES}

    def __call__(self, passing: Passing) -> Harm | None:
        name, step = _what(passing)
        harm, harmed_step = self._wanted.get(name, (None, ""))
        if step != harmed_step or name in self.met:
            return None
        self.met.add(name)
        return harm


@pytest.fixture(scope="module")
def misfortune() -> Misfortune:
    return Misfortune()


@pytest.fixture(scope="module")
def detour(
    installation: Installation,
    cluster: Cluster,
    misfortune: Misfortune,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Detour]:
    """Provide the proxy of the only running controller."""
    with stopped(installation), Detour(cluster.kubeconfig) as detour:
        detour.fate = misfortune
        with _controller(cluster, detour.kubeconfig(tmp_path_factory.mktemp("way"))).at_work():
            yield detour


@pytest.fixture(scope="module")
def unlucky(detour: Detour, stage: Stage) -> dict[str, Run]:
    """Create all runs that get a fault, together."""
    assert not detour.suffered
    names = {_name(harm, step): LIVES[step] for harm, step in CASES}
    return {
        name: stage.create(name, life.spec | stage.ledger.mount()) for name, life in names.items()
    }


@pytest.mark.parametrize(("harm", "step"), CASES, ids=lambda part: getattr(part, "name", part))
def test_nothing_is_lost_or_done_twice_when_a_request_comes_to_harm(
    unlucky: dict[str, Run], misfortune: Misfortune, stage: Stage, harm: Harm, step: str
) -> None:
    name = _name(harm, step)
    LIVES[step].check(unlucky[name], stage.ledger)
    assert name in misfortune.met


@dataclass(frozen=True, slots=True)
class Missed:
    """A hundred runs at every stage, and objects that ended, vanished or appeared unobserved."""

    crowd: Crowd
    ends: Run
    goes: Run
    comes: Run


@pytest.fixture(scope="module")
def missed(detour: Detour, stage: Stage, crowded: str, cluster: Cluster) -> Iterator[Missed]:
    """Cut the watches of a hundred runs, and compact away the versions that they missed."""
    crowd = Crowd(stage, crowded, GONE_ON_WITHIN)
    word = f"{stage.namespace}-unwatched"
    ends = stage.create("ends-unwatched", _told(stage, f"{START}; {until(word)}; {END}"))
    goes = stage.create("goes-unwatched", _told(stage, f"{START}; sleep 600", **IMPATIENT))
    crowd.take_their_places()
    for run in (ends, goes):
        run.main_started()
    detour.cut_watches()
    crowd.end_unseen()
    stage.ledger.say(word)
    for run in (*crowd.runs["ended-well-unseen"], *crowd.runs["ended-badly-unseen"], ends):
        run.pod_ended(seconds=RECOVERED)
    goes.delete()
    goes.gone()
    comes = stage.create("comes-unwatched", _told(stage, f"{START}; {END}"))
    cluster.stop("kube-apiserver", grace=0)
    cluster.start("kube-apiserver")
    _compact(cluster, stage.kube.page(RUNS)["metadata"]["resourceVersion"])
    expired = detour.expired
    detour.open_watches()
    crowd.let_go(cluster)
    stage.journal.wait(lambda: detour.expired > expired or None, RECOVERED, "a watch gets 410")
    yield Missed(crowd, ends, goes, comes)
    cluster.kubectl("label", "node", cluster.node_name, f"{NODE_LABEL}-")


@pytest.mark.parametrize("name", standings("", "", 0, 1))
def test_what_a_watch_has_missed_for_good_is_found(missed: Missed, stage: Stage, name: str) -> None:
    for run in missed.crowd.runs[name]:
        missed.crowd.standings[name].check(run, stage.ledger, RECOVERED)


def test_what_came_and_went_while_nothing_was_watched_is_found(
    missed: Missed, stage: Stage
) -> None:
    for run in (missed.ends, missed.comes):
        DONE.check(run)
        run.pods_gone()
        invariants.check(run)
    missed.goes.pods_gone()
    starts = stage.ledger.all_starts()
    assert [starts[run.uid] for run in (missed.ends, missed.goes, missed.comes)] == [1, 1, 1]


def _told(stage: Stage, script: str, **spec: Any) -> Object:
    return shell(script, **spec) | stage.ledger.mount()


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


def _name(harm: Harm, step: str) -> str:
    return f"{harm.name.lower()}-{step}"


def _what(passing: Passing) -> tuple[str, str]:
    """Return the run that a request is about, and the step of its life."""
    parts = passing.path.partition("?")[0].split("/")
    body = json.loads(passing.body or b"{}")
    if "taskruns" in parts:
        name = parts[parts.index("taskruns") + 1 :][:1]
        if passing.method == "DELETE":
            return name[0], "ttl"
        return (name[0], status_step(body)) if passing.method == "PATCH" else ("", "")
    if passing.method == "POST":
        return _run_of(body["metadata"]["name"]), "create"
    if passing.method == "DELETE":
        return _run_of(parts[-1]), "delete"
    if passing.method == "PATCH":
        return _run_of(parts[-1]), _pod_step(body)
    return "", ""


def _run_of(pod: str) -> str:
    return pod.rsplit("-", 2)[0]


def _pod_step(patch: dict[str, dict[str, object]]) -> str:
    if "schedulingGates" in patch.get("spec", {}):
        return "gate"
    return "stop" if "activeDeadlineSeconds" in patch.get("spec", {}) else "finalizer"
