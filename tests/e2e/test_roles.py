"""Rights of each role: every row of the table in docs/security.md, requested with real tokens.

Writes are dry runs: they pass authorization and admission like any other, and change nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from taskruns.api import names
from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.cluster import Cluster
from tests.support.builders.manifests import IMAGE, KEEP_POD, shell, task_run
from tests.support.cluster import installation as installed
from tests.support.cluster.client import EVENTS, PODS, RUNS, Kube, Object, Resource
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.permissions import Request, requests
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario
from tests.support.cluster.service_account import account, as_account

pytestmark = pytest.mark.parametrize("installation", ["helm"], indirect=True, scope="session")

SUCCEEDED = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,))
BOUND = {"view": "view", "edit": "edit", "admin": "admin", "client": "taskruns-client"}
"""The ClusterRole of each identity that has one."""

RESOURCES = {
    "taskruns": RUNS,
    "pods": PODS,
    "events": EVENTS,
    "secrets": Resource("/api/v1", "secrets"),
    "serviceaccounts": Resource("/api/v1", "serviceaccounts"),
    "jobs": Resource("/apis/batch/v1", "jobs"),
}
METHODS = {"create": "POST", "update": "PUT", "patch": "PATCH"}
ON_A_COLLECTION = frozenset({"create", "list", "watch", "deletecollection"})
OK, CREATED, NOT_AN_UPGRADE, FORBIDDEN, NO_ENDPOINT = 200, 201, 400, 403, 404

ALLOWED = {
    # An allowed exec fails because it is not a stream.
    "pods/exec": {NOT_AN_UPGRADE},
    # Only the plugin OwnerReferencesPermissionEnforcement checks this right.
    "taskruns/finalizers": {NO_ENDPOINT},
}
"""HTTP status codes of allowed requests, if not 200 or 201."""


@dataclass(frozen=True)
class RoleClients:
    """One client per column, and the objects of their requests: an ended run and its Pod."""

    clients: dict[str, Kube]
    run: Run

    def code(self, who: str, request: Request) -> int:
        """Return the HTTP status code of a role's request."""
        plural, _, part = request.resource.partition("/")
        on_many = request.verb in ON_A_COLLECTION and not part
        name = "" if on_many else self._name(plural)
        path = RESOURCES[plural].path(self.run.namespace, name, part)
        method = METHODS.get(request.verb)
        method = method or ("DELETE" if request.verb.startswith("delete") else "GET")
        return self.clients[who].code(method, path, _query(request), self._body(request))

    def _name(self, plural: str) -> str:
        fixed_names = {
            "taskruns": self.run.name,
            "pods": self.run.pod_name(),
            "serviceaccounts": "client",
        }
        return fixed_names.get(plural, "kept")

    def _body(self, request: Request) -> Object | None:
        container = {"name": "main", "image": IMAGE}
        pod = {"restartPolicy": "Never", "containers": [container]}
        match request.verb, request.resource:
            case "create", "taskruns":
                return task_run("asked-", self.run.namespace, shell("exit 0"))
            case "create", "pods":
                return {"metadata": {"generateName": "asked-"}, "spec": pod}
            case "create", "events":
                return _event(self.run, {"generateName": "asked-"})
            case "create", "jobs":
                return {"metadata": {"generateName": "asked-"}, "spec": {"template": {"spec": pod}}}
            case "create", "serviceaccounts/token":
                return {"spec": {}}
            case "update", _:
                return self.run.seen()
            case "patch", _:
                return {"metadata": {"labels": {"asked": "true"}}}
            case _:
                return None


@pytest.fixture(scope="module")
def role_clients(
    scenario: Scenario, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RoleClients]:
    folder = tmp_path_factory.mktemp("identities")
    kept = {"name": "kept"}
    scenario.kube.create(RESOURCES["secrets"], scenario.namespace, {"metadata": kept})
    clients = {}
    for name in (*BOUND, "stranger"):
        account(cluster, scenario.namespace, name, BOUND.get(name, ""))
        clients[name] = as_account(cluster, scenario.namespace, name, folder)
    clients["controller"] = as_account(cluster, installed.NAMESPACE, "taskruns", folder)
    run = scenario.create("asked-about", shell("echo hello", **KEEP_POD))
    run.ended()
    scenario.kube.create(EVENTS, scenario.namespace, _event(run, kept))
    yield RoleClients(clients, run)
    for client in clients.values():
        client.close()


@pytest.mark.parametrize("request_", requests(), ids=str)
def test_a_request_is_allowed_to_the_documented_roles(
    role_clients: RoleClients, request_: Request
) -> None:
    codes = {role: role_clients.code(role, request_) for role in request_.allowed}
    done = ALLOWED.get(request_.resource, {OK, CREATED})
    assert set(codes.values()) <= done | {FORBIDDEN}, codes
    assert {role: code != FORBIDDEN for role, code in codes.items()} == request_.allowed, codes


def test_a_client_follows_a_run_to_its_end_with_its_role_alone(
    role_clients: RoleClients, scenario: Scenario
) -> None:
    client = role_clients.clients["client"]
    manifest = task_run("followed", scenario.namespace, shell("echo hello", **KEEP_POD))
    run = Run(client.create(RUNS, scenario.namespace, manifest), client, scenario.watch_recorder)
    status = SUCCEEDED.check(run)
    assert run.log() == "hello\n"
    run.annotate({names.ANNOTATION_COLLECTED: status["podUID"]})
    run.cancel()
    run.delete()
    run.gone()


def test_a_client_has_no_rights_in_a_namespace_without_its_binding(
    role_clients: RoleClients,
) -> None:
    client = role_clients.clients["client"]
    elsewhere = RUNS.path("default")
    assert client.code("GET", elsewhere) == FORBIDDEN
    assert client.code("GET", RUNS.path(None)) == FORBIDDEN
    body = task_run("asked-", "default", shell("exit 0"))
    assert client.code("POST", elsewhere, {"dryRun": "All"}, body) == FORBIDDEN


@pytest.mark.taskrun(shell("ls /var/run/secrets/kubernetes.io 2>&1; exit 0", **KEEP_POD))
def test_a_task_has_no_service_account_token_by_default(run: Run) -> None:
    SUCCEEDED.check(run)
    assert "No such file or directory" in run.log()


@pytest.mark.usefixtures("role_clients")
def test_a_task_that_names_a_service_account_has_its_token(scenario: Scenario) -> None:
    script = "ls /var/run/secrets/kubernetes.io/serviceaccount"
    run = scenario.create("tokened", shell(script, serviceAccountName="client", **KEEP_POD))
    SUCCEEDED.check(run)
    assert "token" in run.log().split()


def _event(run: Run, metadata: Object) -> Object:
    return {
        "metadata": metadata,
        "involvedObject": {"kind": names.KIND, "name": run.name, "namespace": run.namespace},
    }


def _query(request: Request) -> dict[str, str]:
    if request.verb == "watch":
        return {"watch": "true", "timeoutSeconds": "1"}
    if request.resource == "pods/exec":
        return {"command": "true", "container": "main"}
    return {} if request.verb in ("get", "list") else {"dryRun": "All"}
