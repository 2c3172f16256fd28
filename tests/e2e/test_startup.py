"""Starts that cannot succeed: each ends within its limit, with the cause in its message.

The test that must act before a limit comes first, because all runs start with the first test.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from taskruns.api.conditions import Outcome, Phase
from taskruns.api.reasons import Reason
from tests.support.builders.manifests import IMAGE, pod_spec, shell
from tests.support.cluster.client import PODS, Resource
from tests.support.cluster.expected_end import Ending
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario

pytestmark = pytest.mark.guarantee(
    "A Pod that cannot start ends the run as `ImagePullFailed`, `ContainerConfigError`, "
    "`StartupTimeout` or `ScheduleTimeout`"
)

CONFIG_MAPS = Resource("/api/v1", "configmaps")
SERVICE_ACCOUNTS = Resource("/api/v1", "serviceaccounts")
PATIENT = 100.0
SPOKEN = 30
"""Limit for the scheduler to report on a Pod on a busy machine, in seconds."""
HOLD = "example.test/hold"


def stopped(reason: Reason, *message: str) -> Ending:
    return Ending(Phase.FAILED, reason, None, message, attempts=(Outcome.STOPPED,))


def env_from(kind: str, name: str) -> dict[str, object]:
    return {"envFrom": [{kind: {"name": name}}]}


@pytest.mark.guarantee("A missing ConfigMap that is created in time is used")
@pytest.mark.taskrun(shell('[ "$WORD" = late ]', **env_from("configMapRef", "late")))
def test_a_config_map_created_late_is_used(run: Run, scenario: Scenario) -> None:
    def troubled() -> bool | None:
        return True if run.status.get("reason") == Reason.CONTAINER_CONFIG_ERROR else None

    scenario.watch_recorder.wait(troubled, 30, "the missing ConfigMap is shown")
    data = {"metadata": {"name": "late"}, "data": {"WORD": "late"}}
    scenario.kube.create(CONFIG_MAPS, run.namespace, data)
    ending = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,))
    ending.check(run)


@pytest.mark.guarantee(
    "A create without its service account is retried for a minute, then the run ends as "
    "`ServiceAccountNotFound`"
)
@pytest.mark.taskrun(shell("exit 0", serviceAccountName="late"))
def test_a_service_account_created_late_is_used(run: Run, scenario: Scenario) -> None:
    status = run.says(Reason.SERVICE_ACCOUNT_NOT_FOUND)
    assert status["phase"] == Phase.QUEUED
    assert r'"late" not found' in status["message"]
    scenario.kube.create(SERVICE_ACCOUNTS, run.namespace, {"metadata": {"name": "late"}})
    Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,)).check(run)


@pytest.mark.taskrun(
    shell("exit 0", startupTimeoutSeconds=70) | {"image": "localhost:1/no-such-registry:1"}
)
def test_a_pull_from_an_unreachable_registry_is_retried_beyond_a_minute(run: Run) -> None:
    status = run.says(Reason.START_DELAYED, seconds=PATIENT)
    assert re.search("The start is retried until [0-9-]+T[0-9:]+Z", status["message"])
    run.ended(seconds=PATIENT)
    stopped(Reason.STARTUP_TIMEOUT, r"\bmain\b.*no-such-registry:1", "refused").check(run)


@pytest.mark.guarantee(
    "An image that cannot be pulled ends the run after 60 s and not before, with the message of "
    "the registry or the runtime"
)
@pytest.mark.taskrun(
    shell("exit 0") | {"image": "localhost:1/no-such-image:1", "imagePullPolicy": "Never"}
)
def test_a_missing_image_fails_the_run_after_a_minute(run: Run) -> None:
    run.ended(seconds=PATIENT)
    causes = (r"\bmain\b.*no-such-image:1", r"imagePullPolicy")
    status = stopped(Reason.IMAGE_PULL_FAILED, *causes).check(run)
    assert status["attempts"][0]["reason"] == Reason.IMAGE_PULL_FAILED
    assert tolerated_duration(run) >= timedelta(seconds=60)
    run.pods_gone()


@pytest.mark.guarantee("An invalid image name ends the run at once")
@pytest.mark.taskrun(shell("exit 0") | {"image": "busybox:not:valid"})
def test_an_invalid_image_name_fails_the_run_at_once(run: Run) -> None:
    stopped(Reason.IMAGE_PULL_FAILED, r"busybox:not:valid").check(run)
    assert run.says(Reason.IMAGE_PULL_FAILED)["phase"] == Phase.STOPPING, "nothing is waited for"
    run.pods_gone()


@pytest.mark.guarantee("A missing ConfigMap or Secret ends the run after 30 s and not before")
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(ref, marks=pytest.mark.taskrun(shell("exit 0", **env_from(ref, "missing"))))
        for ref in ("configMapRef", "secretRef")
    ],
)
def test_a_missing_config_map_or_secret_fails_the_run_after_half_a_minute(
    run: Run, kind: str
) -> None:
    run.ended(seconds=PATIENT)
    kind = kind.removesuffix("Ref").lower()
    stopped(Reason.CONTAINER_CONFIG_ERROR, rf'{kind} "missing" not found').check(run)
    assert tolerated_duration(run) >= timedelta(seconds=30)
    run.pods_gone()


def tolerated_duration(run: Run) -> timedelta:
    """Return how long a start-up problem was tolerated, by the run's own record."""
    attempt = run.reaches(Phase.STOPPING)["attempts"][-1]
    return datetime.fromisoformat(attempt["stopTime"]) - datetime.fromisoformat(
        attempt["troubleTime"]
    )


@pytest.mark.guarantee(
    "A create without its service account is retried for a minute, then the run ends as "
    "`ServiceAccountNotFound`"
)
@pytest.mark.taskrun(shell("exit 0", serviceAccountName="nobody"))
def test_a_missing_service_account_fails_the_run_after_a_minute(run: Run) -> None:
    status = run.ended(seconds=PATIENT)
    pattern = r'"nobody" not found'
    Ending(Phase.FAILED, Reason.SERVICE_ACCOUNT_NOT_FOUND, None, (pattern,)).check(run)
    assert run.phases() == [Phase.QUEUED, Phase.FAILED]
    start, end = (datetime.fromisoformat(status[f"{each}Time"]) for each in ("start", "completion"))
    assert end - start >= timedelta(seconds=60)
    assert not run.pods()


def mounted(volume: Mapping[str, object]) -> dict[str, object]:
    mount = {"name": "data", "mountPath": "/data"}
    return {"volumes": [{"name": "data", **volume}], "volumeMounts": [mount]}


@pytest.mark.guarantee(
    "`startupTimeoutSeconds` counts from when the Pod has a node; the message has a cause that "
    "only the Pod's Events contain"
)
@pytest.mark.parametrize(
    "volume",
    [
        pytest.param(
            volume,
            marks=pytest.mark.taskrun(shell("exit 0", startupTimeoutSeconds=6, **mounted(volume))),
            id=next(iter(volume)),
        )
        for volume in (
            {"configMap": {"name": "not-mounted"}},
            {"secret": {"secretName": "not-mounted"}},
        )
    ],
)
def test_a_failed_mount_is_reported_from_the_pods_events(
    run: Run, volume: Mapping[str, object]
) -> None:
    (kind,) = volume
    expected = rf'{kind.lower()} "not-mounted" not found'
    stopped(Reason.STARTUP_TIMEOUT, r"startupTimeoutSeconds", expected).check(run)
    run.pods_gone()


@pytest.mark.taskrun(
    shell(
        "exit 0",
        scheduleTimeoutSeconds=SPOKEN,
        nodeSelector={"taskruns.dev/no-such-node": "true"},
    )
)
def test_an_unschedulable_pod_is_reported_and_fails_the_run(run: Run) -> None:
    run.ended(seconds=PATIENT)
    shown = [version.found["status"] for version in run.history()]
    waiting = [status for status in shown if status.get("reason") == Reason.UNSCHEDULABLE]
    assert [(status["phase"], status.get("failureKind")) for status in waiting] == [
        (Phase.PENDING, None)
    ]
    assert "0/1 nodes are available" in waiting[0]["message"]
    stopped(Reason.SCHEDULE_TIMEOUT, r"scheduleTimeoutSeconds", r"0/1 nodes").check(run)
    run.pods_gone()


@pytest.mark.guarantee(
    "A program that does not exist is `ContainerCannotStart`, with the runtime's message"
)
@pytest.mark.taskrun({"image": IMAGE, "command": ["/no/such/program"]})
def test_a_missing_program_is_named(run: Run) -> None:
    ending = Ending(
        Phase.FAILED,
        Reason.CONTAINER_CANNOT_START,
        None,
        (r"\bmain\b", r"/no/such/program"),
        (Outcome.FAILED,),
    )
    ending.check(run)
    run.pods_gone()


@pytest.mark.guarantee("Main is the only container, the annotated one, or the one called `main`")
@pytest.mark.taskrun(
    {
        "args": ["exit 6"],
        **pod_spec(containers=[{"name": "work", "image": IMAGE, "command": ["sh", "-c"]}]),
    }
)
def test_the_only_container_is_main_under_any_name(run: Run) -> None:
    ending = Ending(
        Phase.FAILED, Reason.NON_ZERO_EXIT_CODE, 6, (r"\bwork\b.* code 6",), (Outcome.FAILED,)
    )
    ending.check(run)
    run.pods_gone()


@pytest.mark.taskrun(shell("exit 0", **pod_spec(schedulingGates=[{"name": HOLD}])))
def test_a_run_at_another_clients_scheduling_gate_is_queued_and_the_gate_is_kept(
    run: Run, scenario: Scenario
) -> None:
    status = run.reaches(Phase.QUEUED)
    assert (status["reason"], status["attempt"]) == (Reason.SCHEDULING_GATED, 1)
    assert HOLD in status["message"]
    assert run.pod()["spec"]["schedulingGates"] == [{"name": HOLD}]
    scenario.kube.merge(PODS, run.namespace, run.pod_name(), {"spec": {"schedulingGates": None}})
    Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,)).check(run)


@pytest.mark.guarantee(
    "`scheduleTimeoutSeconds` counts from when the attempt was due; other clients' scheduling "
    "gates and full quotas count"
)
@pytest.mark.taskrun(
    shell("exit 0", scheduleTimeoutSeconds=2, **pod_spec(schedulingGates=[{"name": HOLD}]))
)
def test_another_clients_scheduling_gate_counts_for_the_schedule_timeout(run: Run) -> None:
    stopped(Reason.SCHEDULE_TIMEOUT, HOLD).check(run)
    run.pods_gone()
