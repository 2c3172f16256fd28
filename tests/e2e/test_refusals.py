"""Runs that cannot start: refused by the apiserver, by admission, or not parseable.

Each ends as Failed with a reason and the message of the refusing component, and affects no other.
"""

from collections.abc import Callable, Iterator
from http import HTTPStatus

import pytest

from taskruns.api.conditions import Phase
from taskruns.api.reasons import Reason
from tests.support.builders.manifests import IMAGE, pod_spec, shell
from tests.support.cluster.client import NAMESPACES, PODS, RUNS, Object, Resource
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.installation import RESTRICTED
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario

_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
POLICIES = Resource(_ADMISSION, "validatingadmissionpolicies", namespaced=False)
BINDINGS = Resource(_ADMISSION, "validatingadmissionpolicybindings", namespaced=False)
LIMIT_RANGES = Resource("/api/v1", "limitranges")


def refused(reason: Reason, *message: str) -> Ending:
    return Ending(Phase.FAILED, reason, None, message)


@pytest.mark.guarantee(
    "An invalid Pod, or one with an unknown field, ends the run as `InvalidPodTemplate` at once, "
    "with the server's message"
)
@pytest.mark.taskrun(shell("exit 0", **pod_spec(nodeSelektor={"disk": "ssd"})))
def test_a_typo_in_the_template_fails_the_run_with_the_servers_message(run: Run) -> None:
    refused(Reason.INVALID_POD_TEMPLATE, r'unknown field "spec\.nodeSelektor"').check(run)
    assert not run.pods()


@pytest.mark.taskrun(shell("exit 0", resources={"limits": {"memory": "lots"}}))
def test_a_value_that_kubernetes_cannot_parse_fails_the_run(run: Run) -> None:
    refused(Reason.INVALID_POD_TEMPLATE, r"quantit").check(run)
    assert not run.pods()


@pytest.mark.guarantee(
    "An invalid Pod, or one with an unknown field, ends the run as `InvalidPodTemplate` at once, "
    "with the server's message"
)
@pytest.mark.taskrun(shell("exit 0", volumeMounts=[{"name": "data", "mountPath": "/data"}]))
def test_an_invalid_pod_fails_the_run_with_the_servers_message(run: Run) -> None:
    refused(Reason.INVALID_POD_TEMPLATE, r"volumeMounts\[0\]\.name: Not found: .data.").check(run)
    assert not run.pods()


@pytest.mark.guarantee(
    "A Pod refused by Pod Security, a policy, a LimitRange or for its priority class ends the run "
    "as `AdmissionRefused` at once, with the server's message"
)
@pytest.mark.taskrun(shell("exit 0", priorityClassName="no-such-class"))
def test_a_missing_priority_class_fails_the_run(run: Run) -> None:
    refused(Reason.ADMISSION_REFUSED, r"no-such-class").check(run)
    assert not run.pods()


@pytest.mark.guarantee(
    "A Pod refused by Pod Security, a policy, a LimitRange or for its priority class ends the run "
    "as `AdmissionRefused` at once, with the server's message"
)
def test_a_refusal_by_pod_security_fails_the_run_with_its_message(scenario: Scenario) -> None:
    strict = f"{scenario.namespace}-strict"
    metadata = {"name": strict, "labels": RESTRICTED}
    scenario.kube.create(NAMESPACES, None, {"metadata": metadata})
    run = scenario.create("privileged", shell("exit 0"), strict)
    refused(Reason.ADMISSION_REFUSED, r"PodSecurity", r"runAsNonRoot").check(run)
    assert not run.pods()
    scenario.kube.delete(NAMESPACES, None, strict)


ONLY_OURS = "images come from registry.example, ask the platform team"


@pytest.fixture
def namespace_with_policy(scenario: Scenario) -> Iterator[str]:
    """Provide a namespace in which a policy denies images of other registries, once effective."""
    name = f"{scenario.namespace}-policed"
    scenario.kube.create(NAMESPACES, None, {"metadata": {"name": name}})
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    expression = "object.spec.containers.all(c, c.image.startsWith('registry.example/'))"
    spec = {
        "matchConstraints": {"resourceRules": [{"operations": ["CREATE"], **pods}]},
        "validations": [{"expression": expression, "message": ONLY_OURS}],
    }
    resources = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": resources}
    scenario.kube.create(POLICIES, None, {"metadata": {"name": name}, "spec": spec})
    scenario.kube.create(BINDINGS, None, {"metadata": {"name": name}, "spec": binding})
    container = {"name": "main", "image": IMAGE}
    pod = {"metadata": {"name": "tried"}, "spec": {"containers": [container]}}

    def heeded() -> bool | None:
        code = scenario.kube.code("POST", PODS.path(name), {"dryRun": "All"}, pod)
        return None if code == HTTPStatus.CREATED else True

    scenario.watch_recorder.wait(heeded, 90, "the policy is heeded")
    yield name
    for resource in (BINDINGS, POLICIES, NAMESPACES):
        scenario.kube.delete(resource, None, name)


@pytest.mark.guarantee(
    "A Pod refused by Pod Security, a policy, a LimitRange or for its priority class ends the run "
    "as `AdmissionRefused` at once, with the server's message"
)
def test_a_refusal_by_an_admission_policy_fails_the_run_with_its_message(
    scenario: Scenario, namespace_with_policy: str
) -> None:
    run = scenario.create("foreign-image", shell("exit 0"), namespace_with_policy)
    refused(Reason.ADMISSION_REFUSED, ONLY_OURS, rf"'{namespace_with_policy}'").check(run)
    assert not run.pods()


@pytest.mark.guarantee(
    "A Pod refused by Pod Security, a policy, a LimitRange or for its priority class ends the run "
    "as `AdmissionRefused` at once, with the server's message"
)
def test_a_refusal_by_a_limit_range_fails_the_run_with_its_message(scenario: Scenario) -> None:
    name = f"{scenario.namespace}-ranged"
    scenario.kube.create(NAMESPACES, None, {"metadata": {"name": name}})
    most = {"limits": [{"type": "Container", "max": {"memory": "32Mi"}}]}
    scenario.kube.create(LIMIT_RANGES, name, {"metadata": {"name": "small"}, "spec": most})
    large = shell("exit 0", resources={"limits": {"memory": "33Mi"}})
    run = scenario.create("large", large, name)
    refused(Reason.ADMISSION_REFUSED, r"maximum memory usage per Container is 32Mi").check(run)
    assert run.phases() == [Phase.FAILED]
    assert not run.pods()
    scenario.kube.delete(NAMESPACES, None, name)


def forge(status: Object) -> Callable[[Run, Scenario], None]:
    """Return a function that writes a status before the controller first reads the run."""

    def prepare(run: Run, scenario: Scenario) -> None:
        scenario.kube.merge(RUNS, run.namespace, run.name, {"status": status}, subresource="status")

    return prepare


FOREIGN_ATTEMPT = {"number": 1, "podName": "made-up", "podUID": "made-up"}
FORGERIES: dict[str, Object] = {
    "running-without-an-attempt": {"phase": "Running"},
    "pending-on-a-pod-that-never-was": {
        "phase": "Pending",
        "attempt": 1,
        "podUID": "made-up",
        "podName": "made-up",
        "attempts": [FOREIGN_ATTEMPT],
    },
    "backing-off-after-far-too-many": {"phase": "BackingOff", "attempt": 2_000_000_000},
    "backing-off-after-the-last-number": {"phase": "BackingOff", "attempt": 2**31 - 1},
    "running-another-attempt": {
        "phase": "Running",
        "attempt": 7,
        "podUID": "made-up",
        "podName": "made-up",
        "attempts": [FOREIGN_ATTEMPT],
    },
}

ENDS = {
    "running-without-an-attempt": {Reason.INVALID_TASK_RUN},
    "running-another-attempt": {Reason.INVALID_TASK_RUN},
    "pending-on-a-pod-that-never-was": {Reason.INVALID_TASK_RUN},
}
"""Reasons of the forgeries that must fail; the other runs may recover."""


@pytest.mark.guarantee("A run that cannot be parsed ends as `InvalidTaskRun`, with the error")
@pytest.mark.parametrize(
    "forgery",
    [
        pytest.param(
            name,
            marks=pytest.mark.taskrun(
                shell("exit 0"), prepare=forge(FORGERIES[name]), lawful=False
            ),
            id=name,
        )
        for name in FORGERIES
    ],
)
def test_a_run_with_a_forged_status_ends(run: Run, forgery: str) -> None:
    end = run.ended()
    assert end["reason"] in ENDS.get(forgery, set(Reason)), end
    assert end["phase"] == Phase.FAILED or forgery not in ENDS
    assert end["message"].strip()
    run.pods_gone()
    assert len(run.history()) < 10, "it must not be tried over and over"


@pytest.mark.guarantee("A run that cannot be parsed delays no other run")
@pytest.mark.taskrun(shell("exit 0"))
def test_a_run_beside_unparseable_runs_succeeds(run: Run) -> None:
    assert run.ended()["phase"] == Phase.SUCCEEDED
    run.pods_gone()
