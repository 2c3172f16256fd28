"""Requests that are lost, or whose answer is, at each step of a run's life.

The controller of these tests reaches the apiserver by a detour, on which the first request of each
run's step meets its misfortune. What the task itself wrote into the ledger says whether anything
was lost or done twice.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.support.crashing import status_step
from tests.support.detour import Detour, Harm, Passing
from tests.support.installation import DELETE_DELAY, Installation, stopped
from tests.support.lives import LIVES
from tests.support.process import ControllerProcess
from tests.support.run import Run
from tests.support.stage import Stage

pytestmark = pytest.mark.parametrize("installation", ["process"], indirect=True, scope="session")

CASES = [(harm, step) for harm in Harm for step in LIVES]


class Misfortune:
    """Decides which requests come to harm: a run's first at the step that it is named by."""

    def __init__(self) -> None:
        self.met: set[str] = set()
        """The runs to which it has happened, by name."""
        self._wanted = {_name(harm, step): (harm, step) for harm, step in CASES}

    def __call__(self, passing: Passing) -> Harm | None:
        name, step = _what(passing)
        harm, wanted = self._wanted.get(name, (None, ""))
        if step != wanted or name in self.met:
            return None
        self.met.add(name)
        return harm


@pytest.fixture(scope="module")
def misfortune() -> Misfortune:
    return Misfortune()


@pytest.fixture(scope="module")
def unlucky(
    installation: Installation,
    stage: Stage,
    cluster: Cluster,
    misfortune: Misfortune,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Run]]:
    """All runs, created together, and the only controller that looks after them."""
    with stopped(installation), Detour(cluster) as detour:
        detour.fate = misfortune
        with _controller(cluster, detour.kubeconfig(tmp_path_factory.mktemp("way"))).at_work():
            names = {_name(harm, step): LIVES[step] for harm, step in CASES}
            yield {
                name: stage.create(name, life.spec | stage.ledger.mount())
                for name, life in names.items()
            }


@pytest.mark.parametrize(("harm", "step"), CASES, ids=lambda part: getattr(part, "name", part))
def test_nothing_is_lost_or_done_twice_when_a_request_comes_to_harm(
    unlucky: dict[str, Run], misfortune: Misfortune, stage: Stage, harm: Harm, step: str
) -> None:
    name = _name(harm, step)
    LIVES[step].check(unlucky[name], stage.ledger)
    assert name in misfortune.met


def _controller(cluster: Cluster, kubeconfig: Path) -> ControllerProcess:
    # A request that is never answered keeps one worker for its whole timeout.
    arguments = ("--default-delete-delay", DELETE_DELAY, "--workers", "64")
    return ControllerProcess(cluster, *arguments, kubeconfig=kubeconfig)


def _name(harm: Harm, step: str) -> str:
    return f"{harm.name.lower()}-{step}"


def _what(passing: Passing) -> tuple[str, str]:
    """Name the run that a request is about, and the step of its life."""
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
