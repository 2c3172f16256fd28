"""In-place restarts of main: they are refused, and its clocks count from its first start."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskruns.api.v1alpha1 import TaskRun
from taskruns.core.defaults import SiteDefaults
from taskruns.core.facts import is_restarted
from taskruns.core.pods import InvalidTemplate, build_pod
from tests.support.builders.objects import (
    a_claimed_status,
    a_pod,
    a_record,
    a_run,
    at,
    container_status,
    ended,
    running,
    stamp,
    waiting,
)
from tests.support.decision import plan_for, status_for

pytestmark = pytest.mark.guarantee(
    "Main is not restarted in place; if a webhook adds a restart policy, its deadlines count from "
    "its first start"
)

RULE = {"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}
RESTART_ALL = {"action": "RestartAllContainers", "exitCodes": RULE["exitCodes"]}
ANNOTATED = {"annotations": {"kubectl.kubernetes.io/default-container": "app"}}
POLICIES = st.sampled_from(["OnFailure", "Always"])


def spec_of(*containers: Any, **spec: Any) -> Any:
    return {"spec": {"containers": list(containers), **spec}}


def container(name: str = "main", **fields: Any) -> Any:
    return {"name": name, "image": "busybox:1", **fields}


def build(template: Any, site: Any = None) -> Any:
    run = TaskRun.model_validate(a_run(template=template))
    return build_pod(run, 1, SiteDefaults(pod_template=site or {}))


@pytest.mark.parametrize("policy", ["OnFailure", "Always", "always", "", 5])
def test_a_restart_policy_of_main_is_rejected_like_the_pods(policy: Any) -> None:
    with pytest.raises(InvalidTemplate) as error:
        build(spec_of(container(restartPolicy=policy)))
    assert str(error.value) == (
        "template.spec.containers[main].restartPolicy must be Never or left out: "
        "use backoffLimit for retries"
    )


@pytest.mark.parametrize(
    ("template", "place"),
    [
        (
            spec_of(container(restartPolicy="Never", restartPolicyRules=[RULE])),
            "template.spec.containers[main].restartPolicyRules",
        ),
        (
            spec_of(container("only", restartPolicy="Always")),
            "template.spec.containers[only].restartPolicy",
        ),
        (
            {
                "metadata": ANNOTATED,
                **spec_of(container(), container("app", restartPolicy="Always")),
            },
            "template.spec.containers[app].restartPolicy",
        ),
        (
            spec_of(container(), container("other", restartPolicyRules=[RULE, RESTART_ALL])),
            "template.spec.containers[other].restartPolicyRules",
        ),
        (
            spec_of(container(), initContainers=[container("i", restartPolicyRules=[RESTART_ALL])]),
            "template.spec.initContainers[i].restartPolicyRules",
        ),
    ],
)
def test_every_restart_of_main_is_rejected(template: Any, place: str) -> None:
    with pytest.raises(InvalidTemplate) as error:
        build(template)
    assert str(error.value).startswith(place)
    assert "backoffLimit" in str(error.value)
    run = a_run(template=template)
    written = status_for(run)
    assert (written.phase, written.reason) == ("Failed", "InvalidPodTemplate")


@pytest.mark.parametrize(
    "template",
    [
        spec_of(container(restartPolicy="Never")),
        spec_of(container(restartPolicy="Never", restartPolicyRules=[])),
        spec_of(container(restartPolicy=None, restartPolicyRules=None)),
        spec_of(container(), container("other", restartPolicy="Always")),
        spec_of(container(), container("o", restartPolicy="Never", restartPolicyRules=[RULE])),
        spec_of(container(), initContainers=[container("i", restartPolicy="OnFailure")]),
        {"metadata": ANNOTATED, **spec_of(container(restartPolicy="Always"), container("app"))},
    ],
)
def test_other_containers_may_be_restarted(template: Any) -> None:
    assert build(template)["spec"]["containers"]


def test_the_sites_defaults_cannot_restart_main_either() -> None:
    site = spec_of({"name": "main", "restartPolicy": "OnFailure"})
    with pytest.raises(InvalidTemplate, match=r"taskPodDefaults.spec.containers\[main\]") as error:
        build({}, site)
    assert "backoffLimit" in str(error.value)
    assert build(spec_of(container(restartPolicy="Never")), site)["spec"]["containers"]
    sidecar = spec_of({"name": "proxy", "restartPolicy": "OnFailure"})
    assert build({}, sidecar)["spec"]["containers"]
    everything = {"spec": {"initContainers": [container("i", restartPolicyRules=[RESTART_ALL])]}}
    with pytest.raises(InvalidTemplate, match="RestartAllContainers"):
        build({}, everything)


# Source of the table: ContainerShouldRestart of Kubernetes 1.36.
@pytest.mark.parametrize(
    ("spec", "pod_policy", "code", "restarted"),
    [
        ({}, "Never", 1, False),
        ({}, "Always", 0, True),
        ({}, "OnFailure", 0, False),
        ({}, "OnFailure", 1, True),
        ({}, "", 1, False),
        ({"restartPolicy": "Never"}, "Always", 1, False),
        ({"restartPolicy": "OnFailure"}, "Never", 0, False),
        ({"restartPolicy": "OnFailure"}, "Never", 1, True),
        ({"restartPolicy": "Always"}, "Never", 0, True),
        ({"restartPolicy": "Never", "restartPolicyRules": [RULE]}, "Never", 1, True),
        ({"restartPolicy": "Never", "restartPolicyRules": [RULE]}, "Never", 2, False),
        (
            {"restartPolicyRules": [{"exitCodes": {"operator": "NotIn", "values": [3]}}]},
            "Never",
            1,
            True,
        ),
        ({"restartPolicyRules": [{"exitCodes": {"operator": "In"}}, "odd"]}, "Never", 1, False),
    ],
)
def test_the_kubelet_restarts_a_container(
    spec: Any, pod_policy: str, code: int, *, restarted: bool
) -> None:
    assert is_restarted(spec, pod_policy, code) is restarted


# Webhooks may have mutated the Pods of the tests below.


def restarted(
    state: Any, *, policy: str = "OnFailure", first: float | None = 2, count: int = 1, **status: Any
) -> Any:
    """Return the Pod of a main that has exited before; `first` is its last known start."""
    pod = a_pod(main=state, **status)
    pod["spec"]["containers"][0]["restartPolicy"] = policy
    (shown,) = pod["status"]["containerStatuses"]
    shown["restartCount"] = count
    if first is not None:
        shown["lastState"] = ended(1, started=first, finished=first + 1)
    return pod


STATES = st.sampled_from(
    [
        waiting("CrashLoopBackOff", "back-off 10s restarting failed container"),
        waiting("ImagePullBackOff"),
        waiting("CreateContainerError"),
        {"waiting": {}},
        running(since=50),
        ended(1, started=50, finished=51),
        ended(1, started=2, finished=3),
        ended(128, reason="StartError", started=None, finished=51),
    ]
)
RECORDS = st.sampled_from([{}, {"startedTime": stamp(2)}])
PHASES = st.sampled_from(["Pending", "Running"])


def run_of(record: Any, phase: str = "Pending", **spec: Any) -> Any:
    attempts = [a_record(**record)]
    return a_run(status=a_claimed_status(phase, attempts=attempts), **spec)


@given(state=STATES, record=RECORDS, phase=PHASES, policy=POLICIES, count=st.integers(1, 9))
def test_mains_deadlines_count_from_its_first_start(
    state: Any, record: Any, phase: str, policy: str, count: int
) -> None:
    pod = restarted(state, policy=policy, count=count, phase="Running")
    if record:  # only the record has the first start
        pod["status"]["containerStatuses"][0]["lastState"] = {}
    run = run_of(record, phase, attemptDeadlineSeconds=60, startupTimeoutSeconds=10)
    plan = plan_for(run, pod, seconds=61.9)
    if plan.status is not None:
        assert plan.status.phase == "Running"
        assert (plan.status.attempts or [])[0].started_time == at(2)
    else:
        assert plan.wake_at == at(62)
    written = status_for(run, pod, seconds=62)
    assert (written.phase, written.reason) == ("Stopping", "AttemptDeadlineExceeded")
    assert (written.attempts or [])[0].started_time == at(2)


def test_a_restarted_main_without_a_known_start_counts_from_scheduling() -> None:
    pod = restarted(waiting("CrashLoopBackOff"), first=None, phase="Running")
    run = run_of({}, attemptDeadlineSeconds=60, startupTimeoutSeconds=10)
    assert status_for(run, pod, seconds=60).phase == "Running"
    assert status_for(run, pod, seconds=61).reason == "AttemptDeadlineExceeded"


def test_a_main_in_back_off_is_shown_as_running_and_stays_so() -> None:
    pod = restarted(waiting("CrashLoopBackOff"), phase="Running")
    assert plan_for(run_of({}), pod, seconds=3).wake_at == at(4)
    written = status_for(run_of({}), pod, seconds=4)
    assert (written.phase, written.reason) == ("Running", "MainRunning")
    assert plan_for(run_of({"startedTime": stamp(2)}, "Running"), pod, seconds=900).idle


def test_an_exit_before_a_restart_is_no_end() -> None:
    pod = restarted(ended(1, started=50, finished=51), phase="Running")
    pod["spec"]["containers"].append(container("other"))
    pod["status"]["containerStatuses"].append(container_status("other", running()))
    run = run_of({"startedTime": stamp(2)}, "Running")
    assert plan_for(run, pod, seconds=52).idle
    final = restarted(ended(0, started=50, finished=51), phase="Running")
    final["spec"]["containers"].append(container("other"))
    final["status"]["containerStatuses"].append(container_status("other", running()))
    assert status_for(run, final, seconds=52).phase == "Stopping"


@pytest.mark.parametrize(("policy", "phase"), [("Always", "Stopping"), ("Never", None)])
def test_a_restarted_container_beside_main_is_a_remaining_container(
    policy: str, phase: str | None
) -> None:
    """In back-off the kubelet reports it as terminated, for up to five minutes."""
    pod = a_pod(main=ended(0), phase="Running")
    pod["spec"]["containers"].append(container("other", restartPolicy=policy))
    pod["status"]["containerStatuses"].append(container_status("other", ended(1)))
    plan = plan_for(run_of({}), pod, seconds=5)
    assert (plan.status and plan.status.phase) == phase


@pytest.mark.parametrize("reason", ["AttemptDeadlineExceeded", "Cancelled", "DeadlineExceeded"])
def test_a_main_that_is_stopped_in_back_off_ends_for_the_recorded_reason(reason: str) -> None:
    record = {"startedTime": stamp(2), "stopTime": stamp(62), "reason": reason}
    pod = restarted(ended(1, started=50, finished=51), phase="Failed", reason="DeadlineExceeded")
    written = status_for(run_of(record, "Stopping"), pod, seconds=64)
    assert written.reason == reason
    (attempt,) = written.attempts or []
    assert (attempt.exit_code, attempt.started_time, attempt.finished_time) == (1, at(2), at(64))


@pytest.mark.parametrize(
    "init",
    [
        {"restartPolicy": "Never"},
        {"restartPolicy": "OnFailure"},
        {"restartPolicy": "Never", "restartPolicyRules": [RULE]},
        {"restartPolicyRules": [RULE]},
        {"restartPolicy": ""},
        {},
    ],
)
def test_only_always_makes_a_sidecar_of_an_init_container(init: Any) -> None:
    template = {"spec": {"initContainers": [container("fetch", **init)]}}
    policy = {
        "rules": [
            {
                "action": "FailJob",
                "onExitCodes": {"containerName": "fetch", "operator": "In", "values": [7]},
            }
        ]
    }
    for spec, message in (
        ({}, "Init container fetch exited with code 7"),
        ({"podFailurePolicy": policy}, "FailJob by rule 1 of podFailurePolicy"),
    ):
        run = a_run(
            status=a_claimed_status(), template=template, backoffLimit=1 if spec else 0, **spec
        )
        shown = [container_status("fetch", ended(7))]
        pod = a_pod(
            run, main=waiting("PodInitializing"), phase="Failed", initContainerStatuses=shown
        )
        written = status_for(run, pod, seconds=9)
        assert (written.phase, written.reason) == ("Failed", "InitContainerFailed")
        assert (written.failed, (written.attempts or [])[0].outcome) == (1, "Failed")
        assert message in (written.message or "")


def test_a_failed_sidecar_does_not_fail_main() -> None:
    template = {"spec": {"initContainers": [container("proxy", restartPolicy="Always")]}}
    run = a_run(status=a_claimed_status(), template=template)
    shown = [container_status("proxy", ended(7))]
    pod = a_pod(run, main=waiting("PodInitializing"), phase="Failed", initContainerStatuses=shown)
    assert status_for(run, pod, seconds=9).reason == "PodRejected"
