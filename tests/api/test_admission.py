"""The chart's ValidatingAdmissionPolicy on the real apiserver.

The policy applies to two kinds in one namespace: TaskRuns, and a copy of them whose definition has
no rules, so that an update reaches the policy. Requests are dry runs, except where a TaskRun must
exist, and these are suspended.
"""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from taskruns.api.crd import crd
from taskruns.api.v1alpha1 import TaskRun
from taskruns.core.pods import build_pod
from tests.api.conftest import eventually, served
from tests.cluster import Cluster
from tests.support.builders import host_access
from tests.support.builders.host_access import Spec, in_container, of_pod
from tests.support.builders.manifests import task_run
from tests.support.builders.objects import a_run
from tests.support.cluster.client import (
    DEFINITIONS,
    NAMESPACES,
    PODS,
    RUNS,
    Kube,
    Object,
    Refused,
    Resource,
)
from tests.support.cluster.service_account import account, as_account
from tools import helm as helm_tool

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "taskruns"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
POLICIES = Resource(ADMISSION, "validatingadmissionpolicies", namespaced=False)
BINDINGS = Resource(ADMISSION, "validatingadmissionpolicybindings", namespaced=False)
ROLES = Resource("/apis/rbac.authorization.k8s.io/v1", "clusterroles", namespaced=False)
DRY_RUN = {"dryRun": "All", "fieldValidation": "Strict"}
PRIVILEGED: Spec = {"image": "busybox:1", "securityContext": {"privileged": True}}
MESSAGES = {
    "privileged": "privileged containers are forbidden",
    "capabilities": "capabilities beyond those of a usual container runtime are forbidden",
    "hostNamespaces": "namespaces of the node are forbidden",
    "hostPath": "hostPath volumes are forbidden",
    "hostPorts": "ports of the node are forbidden",
    "hostProbes": "probes and lifecycle hooks of other hosts are forbidden",
    "profiles": "profile.* forbidden",
    "sysctls": "unsafe sysctls are forbidden",
}
SINCE = {"hostProbes": 34}
"""Minor version of Kubernetes since which Pod Security has a rule, if a supported one lacks it.

procMount is no part of a Pod in older versions, nor in newer ones without hostUsers: false.
"""
IMPOSSIBLE = re.compile(r"hostProcess|ephemeral|tcpSocket|hostNetwork")
"""Parts of Pods that the apiserver refuses before it asks Pod Security."""


@dataclass(frozen=True)
class Judged:
    """The namespace that the policy applies to, and the clients of its accounts."""

    namespace: str
    admin: Kube
    clients: dict[str, Kube]
    copies: Resource
    old: Object
    """A copy that violates the rules, older than the policy."""

    def ask(self, spec: Spec, who: Kube | None = None) -> None:
        """Create a TaskRun as a dry run; raise Refused if that is refused."""
        manifest = task_run("asked-", self.namespace, spec)
        (who or self.admin)._request("POST", RUNS.path(self.namespace), DRY_RUN, manifest)

    def refusal(self, spec: Spec, who: Kube | None = None) -> str:
        with pytest.raises(Refused) as refused:
            self.ask(spec, who)
        assert "ValidatingAdmissionPolicy" in refused.value.sentence
        assert "resulted in error" not in refused.value.sentence, "the expression itself failed"
        return refused.value.sentence

    def copy(self, spec: Spec) -> Object:
        return self.admin.create(self.copies, self.namespace, self._manifest({}, spec))

    def replace(self, existing: Object, spec: Spec, who: str) -> None:
        """Replace the spec of a copy as a dry run; raise Refused if that is refused."""
        metadata = existing["metadata"]
        kept = {key: metadata[key] for key in ("name", "resourceVersion")}
        path = self.copies.path(self.namespace, metadata["name"])
        self.clients[who]._request("PUT", path, DRY_RUN, self._manifest(kept, spec))

    def _manifest(self, metadata: Object, spec: Spec) -> Object:
        return _manifest(self.copies, metadata, spec)


def _manifest(copies: Resource, metadata: Object, spec: Spec) -> Object:
    head = {"apiVersion": copies.group_path.removeprefix("/apis/"), "kind": "Unruled"}
    return {**head, "metadata": {"generateName": "copy-", **metadata}, "spec": spec}


def _unruled() -> Object:
    """Return the definition under other names, without CEL rules."""
    copy: Object = yaml.safe_load(yaml.safe_dump(crd()))

    def strip(part: Any) -> None:
        if isinstance(part, dict):
            part.pop("x-kubernetes-validations", None)
            part = [*part.values()]
        for value in part if isinstance(part, list) else ():
            strip(value)

    strip(copy["spec"]["versions"])
    group = f"t{uuid.uuid4().hex[:8]}.api-tests.dev"
    copy["metadata"]["name"] = f"unruled.{group}"
    copy["spec"]["group"] = group
    copy["spec"]["names"] = {"plural": "unruled", "singular": "unruled", "kind": "Unruled"}
    return copy


ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "run-as-etl"},
    "rules": [
        {
            "apiGroups": [""],
            "resources": ["serviceaccounts"],
            "resourceNames": ["etl"],
            "verbs": ["use"],
        }
    ],
}


@pytest.fixture(scope="module")
def judged(
    cluster: Cluster,
    kube: Kube,
    definition: Object,
    helm: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Judged]:
    assert definition
    assert helm.exists()
    unruled = _unruled()
    group = unruled["spec"]["group"]
    copies = Resource(f"/apis/{group}/v1alpha1", "unruled")
    name = kube.create(NAMESPACES, None, {"metadata": {"generateName": "admission-"}})["metadata"][
        "name"
    ]
    made = _rendered(name, group)
    clients: dict[str, Kube] = {}
    try:
        kube.create(DEFINITIONS, None, unruled)
        served(kube, unruled["metadata"]["name"])
        eventually(lambda: kube.list(copies, name), Refused)
        old = kube.create(copies, name, _manifest(copies, {}, PRIVILEGED))
        cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([*made, *_roles(name, group)]))
        for who in ("author", "newcomer", "editor"):
            account(cluster, name, who, "edit" if who == "editor" else f"{name}-client")
            clients[who] = as_account(cluster, name, who, tmp_path_factory.mktemp(who))
        judged = Judged(name, kube, clients, copies, old)
        # The apiserver applies a policy, and aggregates roles, only after a short delay.
        eventually(lambda: _require_refusal(judged), AssertionError)
        eventually(lambda: judged.ask({"image": "busybox:1"}, clients["editor"]), Refused)
        yield judged
    finally:
        for client in clients.values():
            client.close()
        kube.delete(DEFINITIONS, None, unruled["metadata"]["name"])
        kube.delete(NAMESPACES, None, name)
        kinds = "validatingadmissionpolicybinding,validatingadmissionpolicy,clusterrole"
        cluster.kubectl("delete", kinds, "-l", f"api-tests={name}")


def _require_refusal(judged: Judged) -> None:
    try:
        judged.ask(PRIVILEGED)
    except Refused:
        return
    raise AssertionError("the policy does not apply yet")


def _rendered(namespace: str, group: str) -> list[Object]:
    """Return the policy, its binding and the aggregated roles, extended to the copies."""
    settings = ["admission.enabled=true", f"commonLabels.api-tests={namespace}"]
    policies = _template(*settings, f"fullnameOverride={namespace}", f"namespaces={{{namespace}}}")
    roles = _template(*settings, f"fullnameOverride={namespace}")
    policies = [each for each in policies if each["kind"].startswith("ValidatingAdmission")]
    (rule,) = policies[0]["spec"]["matchConstraints"]["resourceRules"]
    policies[0]["spec"]["matchConstraints"]["resourceRules"].append(
        {**rule, "apiGroups": [group], "resources": ["unruled"]}
    )
    names = {f"{namespace}-view", f"{namespace}-edit", f"{namespace}-client"}
    return [*policies, *(each for each in roles if each["metadata"]["name"] in names)]


def _template(*settings: str) -> list[Object]:
    return helm_tool.template(CHART, "default", settings)


def _roles(namespace: str, group: str) -> list[Object]:
    """Return what the accounts may do beyond the chart's roles."""
    copies = {"apiGroups": [group], "resources": ["unruled"], "verbs": ["*"]}
    on_copies = {**ROLE, "metadata": {"name": "copies"}, "rules": [copies]}
    everybody = {"kind": "Group", "name": f"system:serviceaccounts:{namespace}"}
    author = {"kind": "ServiceAccount", "name": "author", "namespace": namespace}
    bound = [_bound("copies", everybody), _bound("run-as-etl", author)]
    accounts = [_object("v1", "ServiceAccount", name) for name in ("etl", "deployer")]
    return [
        {**each, "metadata": {**each["metadata"], "namespace": namespace}}
        for each in (ROLE, on_copies, *bound, *accounts)
    ]


def _object(version: str, kind: str, name: str, **rest: Any) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **rest}


def _bound(role: str, subject: Object) -> Object:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role}
    version = "rbac.authorization.k8s.io/v1"
    return _object(version, "RoleBinding", role, roleRef=reference, subjects=[subject])


# ---------------------------------------------------------------------------- accounts

PAGE = (ROOT / "docs/security.md").read_text()
TABLE = re.findall(
    r"^\| (TaskRun|Pod|Cancel)(.*?) \| (\w+) \| (\w+) \| (\w+) \|$", PAGE, re.MULTILINE
)
SPECS: dict[str, Spec] = {
    "TaskRun that names `etl`": {"image": "busybox:1", "serviceAccountName": "etl"},
    "TaskRun that names `etl` in its template": of_pod({"serviceAccountName": "etl"}),
    "TaskRun that names `deployer`": {"image": "busybox:1", "serviceAccountName": "deployer"},
    "TaskRun that names no service account": {"image": "busybox:1"},
    "TaskRun with a privileged container": {**PRIVILEGED, "serviceAccountName": "etl"},
    "TaskRun with a `hostPath` volume": {
        **in_container("containers", {}),
        "volumes": [{"name": "node", "hostPath": {"path": "/"}}],
        "serviceAccountName": "etl",
    },
    "TaskRun with `hostNetwork`": {**of_pod({"hostNetwork": True}), "serviceAccountName": "etl"},
    "TaskRun with `nodeName`": {**of_pod({"nodeName": "n1"}), "serviceAccountName": "etl"},
}
_CONTAINER: Spec = {"name": "main", "image": "busybox:1"}
PODS_ASKED: dict[str, Spec] = {
    "Pod": {"containers": [_CONTAINER]},
    "Pod with a privileged container": {
        "containers": [{**_CONTAINER, "securityContext": {"privileged": True}}]
    },
}
CANCEL = "Cancel the TaskRun of another"
FORBIDDEN, UNPROCESSABLE = 403, 422


def test_the_page_has_every_request() -> None:
    rows = {f"{kind}{rest}" for kind, rest, *_ in TABLE}
    assert rows == {*SPECS, *PODS_ASKED, CANCEL}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0]}{row[1]}")
def test_each_account_may_do_what_the_page_says(judged: Judged, row: tuple[str, ...]) -> None:
    kind, rest, *cells = row
    may = {who: _may(judged, who, f"{kind}{rest}") for who in ("author", "newcomer", "editor")}
    assert may == dict(zip(may, (cell == "yes" for cell in cells), strict=True))


def _may(judged: Judged, who: str, request: str) -> bool:
    client = judged.clients[who]
    try:
        if request in SPECS:
            judged.ask(SPECS[request], client)
        elif request in PODS_ASKED:
            pod = {"metadata": {"generateName": "asked-"}, "spec": PODS_ASKED[request]}
            client._request("POST", PODS.path(judged.namespace), DRY_RUN, pod)
        else:
            judged.replace(judged.old, {**judged.old["spec"], "cancel": True}, who)
    except Refused as refused:
        if refused.status in (FORBIDDEN, UNPROCESSABLE):
            return False
        raise
    return True


def test_a_refused_account_reads_which_right_it_needs(judged: Judged) -> None:
    sentence = judged.refusal(SPECS["TaskRun that names `deployer`"], judged.clients["author"])
    user = f"system:serviceaccount:{judged.namespace}:author"
    assert f"{user} may not run a TaskRun as the service account deployer of the " in sentence
    assert "grant the verb use on it" in sentence


@pytest.mark.parametrize("spec", host_access.ACCOUNTS_REFUSED, ids=str)
def test_a_service_account_that_cannot_be_read_is_refused(judged: Judged, spec: Spec) -> None:
    assert "the service account cannot be read" in judged.refusal(spec)


def test_the_short_field_decides_over_the_template_as_in_the_pod(judged: Judged) -> None:
    author = judged.clients["author"]
    judged.ask(of_pod({"serviceAccountName": "deployer"}) | {"serviceAccountName": "etl"}, author)
    spec = of_pod({"serviceAccountName": "etl", "serviceAccount": "etl"})
    judged.ask(spec, author)
    sentence = judged.refusal(spec | {"serviceAccountName": "deployer"}, author)
    assert "as the service account deployer" in sentence


# ---------------------------------------------------------------------------- fields


@pytest.fixture(scope="module")
def baseline(kube: Kube) -> Iterator[str]:
    """Provide a namespace in which Pod Security enforces baseline."""
    labels = {"pod-security.kubernetes.io/enforce": "baseline"}
    metadata = {"generateName": "baseline-", "labels": labels}
    name = kube.create(NAMESPACES, None, {"metadata": metadata})["metadata"]["name"]
    accounts = Resource("/api/v1", "serviceaccounts")
    eventually(lambda: _require(kube.get(accounts, name, "default")), AssertionError)
    yield name
    kube.delete(NAMESPACES, None, name)


def _require(found: Object | None) -> None:
    assert found


def _create_pod(kube: Kube, namespace: str, spec: Spec) -> None:
    run = TaskRun.model_validate(a_run(**spec))
    pod = build_pod(run, 1)
    pod["metadata"]["namespace"] = namespace
    kube._request("POST", PODS.path(namespace), {"dryRun": "All"}, pod)


@pytest.mark.parametrize(
    ("rule", "spec"),
    [pytest.param(r, s, id=f"{r}-{place}") for r, place, s in host_access.refused()],
)
def test_a_forbidden_field_is_refused_in_the_task_run_and_by_pod_security(
    judged: Judged, baseline: str, rule: str, spec: Spec
) -> None:
    assert re.search(MESSAGES[rule], judged.refusal(spec))
    if judged.admin.minor() < SINCE.get(rule, 0) or "procMount" in str(spec):
        return
    with pytest.raises(Refused) as refused:
        _create_pod(judged.admin, baseline, spec)
    if not IMPOSSIBLE.search(str(spec)):
        assert 'violates PodSecurity "baseline' in refused.value.sentence


@pytest.mark.parametrize("spec", host_access.ACCEPTED.values(), ids=host_access.ACCEPTED)
def test_what_pod_security_accepts_is_accepted(judged: Judged, baseline: str, spec: Spec) -> None:
    judged.ask(spec)
    _create_pod(judged.admin, baseline, spec)


@pytest.mark.parametrize(
    "spec", [pytest.param(spec, id=place) for place, spec in host_access.unreadable()]
)
def test_a_value_of_another_type_is_refused(judged: Judged, spec: Spec) -> None:
    judged.refusal(spec)


@pytest.mark.parametrize("field", ["containers", "volumes", "ports", "add", "sysctls"])
def test_a_list_that_would_take_the_apiserver_long_is_refused(judged: Judged, field: str) -> None:
    assert judged.refusal(_long(field, 501))
    judged.ask(_long(field, 500))


def _long(field: str, count: int) -> Spec:
    """Return a spec with a list of that many valid items."""
    main: Spec = {"name": "main", "image": "busybox:1"}
    containers = [main, *(main | {"name": f"c{n}"} for n in range(1, count))]
    ports = main | {"ports": [{"containerPort": 80}] * count}
    added = main | {"securityContext": {"capabilities": {"add": ["CHOWN"] * count}}}
    safe = [{"name": "net.ipv4.tcp_syncookies"}] * count
    specs: dict[str, Spec] = {
        "containers": {"containers": containers},
        "volumes": {"volumes": [{"name": f"v{n}", "emptyDir": {}} for n in range(count)]},
        "ports": {"containers": [ports]},
        "add": {"containers": [added]},
        "sysctls": {"securityContext": {"sysctls": safe}},
    }
    return of_pod(specs[field])


def test_the_apiserver_finds_no_type_error_in_the_policy(judged: Judged) -> None:
    def checked() -> Object:
        policy = judged.admin.get(POLICIES, None, f"{judged.namespace}.default")
        assert policy
        status: Object = policy.get("status", {})
        assert status.get("observedGeneration") == policy["metadata"]["generation"]
        return status

    assert eventually(checked, AssertionError)["typeChecking"] == {}


# ---------------------------------------------------------------------------- updates


def test_a_change_of_the_pod_is_judged_as_a_creation_is(judged: Judged) -> None:
    run = judged.copy({"image": "busybox:1", "serviceAccountName": "etl"})
    spec = run["spec"]
    judged.replace(run, {**spec, "image": "busybox:2"}, "author")
    for changed in (PRIVILEGED, of_pod({"hostNetwork": True})):
        with pytest.raises(Refused, match="forbidden in TaskRuns"):
            judged.replace(run, {**spec, **changed}, "author")
    for changed in ({"image": "busybox:2", "serviceAccountName": "etl"}, {"image": "busybox:1"}):
        with pytest.raises(Refused, match="may not run a TaskRun as the service account"):
            judged.replace(run, changed, "newcomer")
    with pytest.raises(Refused, match="may not run a TaskRun as the service account default"):
        judged.replace(run, {"image": "busybox:1"}, "author")


def test_every_other_change_is_left_to_rbac(judged: Judged) -> None:
    newcomer, name = judged.clients["newcomer"], judged.old["metadata"]["name"]
    for change in ({"cancel": True}, {"suspend": True}, {"ttlSecondsAfterFinished": 5}):
        judged.replace(judged.old, {**judged.old["spec"], **change}, "newcomer")
    metadata = {"labels": {"a": "b"}, "finalizers": ["example.test/mine"]}
    newcomer.merge(judged.copies, judged.namespace, name, {"metadata": metadata})
    newcomer.merge(judged.copies, judged.namespace, name, {"metadata": {"finalizers": None}})


def test_other_namespaces_are_not_affected(judged: Judged, baseline: str) -> None:
    manifest = task_run("asked-", baseline, PRIVILEGED)
    judged.admin._request("POST", RUNS.path(baseline), DRY_RUN, manifest)
