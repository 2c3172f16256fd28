"""Controllers that serve some namespaces only, each installed by an administrator of those.

Two releases of the chart are installed with the tokens of two service accounts, which are bound in
their own namespaces only. No other controller runs. A list is made at their start and then not for
an hour, so later changes reach them by their watches. The apiserver's audit log has their requests.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.cluster import Cluster
from tests.support.builders.manifests import shell
from tests.support.cluster import invariants
from tests.support.cluster.audit import Audit, Request
from tests.support.cluster.client import NAMESPACES, RUNS
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.installation import (
    DELETE_DELAY,
    ROOT,
    Installation,
    build_image,
    helm,
    stopped,
)
from tests.support.cluster.run import FIRST_LOOK, Run
from tests.support.cluster.scenario import Scenario
from tests.support.cluster.service_account import account, kubeconfig_of
from tests.support.cluster.start_counter import END, START

pytestmark = pytest.mark.parametrize("installation", ["process"], indirect=True, scope="session")

SUCCEEDED = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,))
ASKED_FOR = {
    *("list taskruns", "watch taskruns", "patch taskruns/status"),
    *("list pods", "watch pods", "create pods", "patch pods", "delete pods", "create events"),
}
"""Requests that a controller sends at least when a run succeeds in a namespace."""

FORBIDDEN = 403


@dataclass(frozen=True, slots=True)
class Team:
    """An administrator of some namespaces, with a release in the first of them."""

    cluster: Cluster
    namespaces: tuple[str, ...]
    kubeconfig: Path

    @property
    def home(self) -> str:
        return self.namespaces[0]

    def helm(self, verb: str, *arguments: str) -> None:
        """Run helm on the team's release, as the team's administrator."""
        flags = ("taskruns", *arguments, "--namespace", self.home, "--wait", "--timeout", "3m")
        helm(self.cluster, verb, *flags, kubeconfig=self.kubeconfig)

    def install(self) -> None:
        self.helm(
            "install",
            str(ROOT / "charts/taskruns"),
            *("--set", f"namespaces={{{','.join(self.namespaces)}}}"),
            *("--set", "crds.install=false", "--set", "replicas=1"),
            *("--set", f"defaults.deleteDelayDuration={DELETE_DELAY}"),
            *("--set", "extraArgs={--resync-seconds=3600}"),
        )

    def is_asking(self, request: Request) -> bool:
        """Return whether one of the release's own accounts sent a request."""
        return request.user.startswith(f"system:serviceaccount:{self.home}:taskruns")


@dataclass(frozen=True, slots=True)
class Scene:
    """Two teams, an earlier run in each namespace, and the requests since."""

    teams: tuple[Team, Team]
    early: dict[str, Run]
    audit: Audit

    @property
    def namespaces(self) -> tuple[str, ...]:
        return tuple(namespace for team in self.teams for namespace in team.namespaces)


@pytest.fixture(scope="module")
def scene(
    installation: Installation,
    cluster: Cluster,
    scenario: Scenario,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    build_image(cluster)
    folder = tmp_path_factory.mktemp("teams")
    with stopped(installation):
        teams = (_team(cluster, scenario, folder, "a", "b"), _team(cluster, scenario, folder, "c"))
        served = [namespace for team in teams for namespace in team.namespaces]
        try:
            early = {
                each: _create(scenario, "early", each) for each in (*served, scenario.namespace)
            }
            scene = Scene(teams, early, Audit(cluster))
            for team in teams:
                team.install()
            yield scene
            for team in teams:
                team.helm("uninstall", "--ignore-not-found")
        finally:
            for namespace in served:
                scenario.kube.delete(NAMESPACES, None, namespace)


def _team(cluster: Cluster, scenario: Scenario, folder: Path, *names: str) -> Team:
    namespaces = tuple(f"{scenario.namespace}-{name}" for name in names)
    for namespace in namespaces:
        scenario.kube.create(NAMESPACES, None, {"metadata": {"name": namespace}})
    home, *further = namespaces
    account(cluster, home, "administrator", "cluster-admin", tuple(further))
    return Team(cluster, namespaces, kubeconfig_of(cluster, home, "administrator", folder))


def _create(scenario: Scenario, name: str, namespace: str, work: str = "") -> Run:
    script = "; ".join(part for part in (START, work, END) if part)
    return scenario.create(name, shell(script) | scenario.start_counter.mount(), namespace)


def _check(run: Run, scenario: Scenario) -> None:
    SUCCEEDED.check(run)
    invariants.check(run)
    assert scenario.start_counter.starts(run.uid) == 1


def test_runs_older_than_their_controller_are_completed_in_each_namespace(
    scene: Scene, scenario: Scenario
) -> None:
    for namespace in scene.namespaces:
        _check(scene.early[namespace], scenario)


@pytest.mark.guarantee("A controller with a list of namespaces serves each of them without delay")
def test_a_new_run_is_reconciled_at_once_in_each_namespace(
    scene: Scene, scenario: Scenario
) -> None:
    for namespace in scene.namespaces:
        run = _create(scenario, "late", namespace)
        run.reaches(Phase.PENDING, seconds=FIRST_LOOK)
        _check(run, scenario)


@pytest.mark.guarantee(
    "An administrator of these namespaces alone can install and upgrade taskruns, and running "
    "tasks continue"
)
def test_an_upgrade_by_the_teams_administrator_does_not_affect_running_tasks(
    scene: Scene, scenario: Scenario
) -> None:
    runs = [_create(scenario, "upgraded", team.home, work="sleep 15") for team in scene.teams]
    for run in runs:
        run.main_started()
    for team in scene.teams:
        chart = str(ROOT / "charts/taskruns")
        team.helm("upgrade", chart, "--reset-then-reuse-values", "--set", "log.level=debug")
    for run in runs:
        _check(run, scenario)


@pytest.mark.guarantee(
    "An administrator of these namespaces alone can uninstall taskruns, and nothing of it is left"
)
def test_an_uninstall_by_the_teams_administrator_removes_its_release_only(
    scene: Scene, scenario: Scenario, cluster: Cluster
) -> None:
    leaving, staying = scene.teams
    last = _create(scenario, "last", leaving.namespaces[-1], work="sleep 15")
    last.main_started()
    leaving.helm("uninstall")
    leftovers = [line for each in leaving.namespaces for line in _of_a_release(cluster, each)]
    assert leftovers == []
    assert scenario.kube.get(RUNS, last.namespace, last.name) is not None
    _check(_create(scenario, "neighbour", staying.home), scenario)
    staying.helm("uninstall")
    assert _of_a_release(cluster, staying.home) == []


@pytest.mark.guarantee(
    "A controller with a list of namespaces sends no request outside them, as checked in the API "
    "server's audit log"
)
def test_no_controller_sends_requests_outside_its_namespaces(
    scene: Scene, scenario: Scenario
) -> None:
    """This test runs last, because the audit log has a watch only when it has ended."""
    for team in scene.teams:
        team.helm("uninstall", "--ignore-not-found")
    requests = scene.audit.requests()
    for team in scene.teams:
        sent = [request for request in requests if team.is_asking(request)]
        assert {request.namespace for request in sent} == set(team.namespaces)
        assert [request for request in sent if request.code == FORBIDDEN] == []
        for namespace in team.namespaces:
            assert {str(r) for r in sent if r.namespace == namespace} >= ASKED_FOR
    assert [r for r in requests if not any(team.is_asking(r) for team in scene.teams)] == []
    nobodys = scene.early[scenario.namespace]
    assert (nobodys.status, nobodys.pods()) == ({"observedGeneration": -1}, ())


def _of_a_release(cluster: Cluster, namespace: str) -> list[str]:
    """Return every object that a release has made in a namespace, with its own record."""
    output = cluster.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").stdout
    kinds = ",".join(kind for kind in output.split() if not kind.startswith("events"))
    labels = ("app.kubernetes.io/instance=taskruns", "owner=helm")
    outputs = [
        cluster.kubectl("get", kinds, "-n", namespace, "-l", each, "-o", "name").stdout
        for each in labels
    ]
    return "".join(outputs).splitlines()
