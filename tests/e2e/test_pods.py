"""The view of a task in its Pod: identity, no token, a seccomp profile, site defaults.

`tests/unit/core/golden/pods` compares whole Pods; here the task itself reads its environment.
"""

from typing import Any

import pytest

from tests.support.builders.manifests import KEEP_POD, pod_spec, shell
from tests.support.cluster.installation import SITE_KEY
from tests.support.cluster.run import Run
from tests.support.cluster.scenario import Scenario

pytestmark = pytest.mark.parametrize("installation", ["helm"], indirect=True, scope="session")

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
LOOK_FOR_TOKEN = f"[ -s {TOKEN} ] && echo a token || echo none"
LOOK_AT_SECCOMP = "sed -n 's/^Seccomp:[[:space:]]*//p' /proc/self/status"
UNCONFINED = {"seccompProfile": {"type": "Unconfined"}}
FILTERED, OFF = "2\n", "0\n"
"""Seccomp modes in /proc: a filter is active, or none."""


def kept(script: str, **spec: Any) -> dict[str, Any]:
    return shell(script, **KEEP_POD, **spec)


def log_of(run: Run, attempt: int = 1) -> str:
    assert run.ended()["phase"] == "Succeeded"
    return run.log(attempt)


@pytest.mark.guarantee("Main finds its identity in its environment")
@pytest.mark.taskrun(
    kept(
        'env | grep ^TASKRUN_ | sort; [ "$TASKRUN_ATTEMPT" = 2 ]',
        backoffLimit=1,
        backoff={"duration": "100ms"},
    )
)
def test_a_task_finds_its_identity_in_its_environment(run: Run) -> None:
    assert log_of(run, attempt=2).splitlines() == [
        "TASKRUN_ATTEMPT=2",
        f"TASKRUN_NAME={run.name}",
        f"TASKRUN_NAMESPACE={run.namespace}",
        f"TASKRUN_UID={run.uid}",
    ]


@pytest.mark.guarantee(
    "A Pod has no service account's token unless the run names a service account"
)
@pytest.mark.parametrize(
    "found",
    [
        pytest.param("none", marks=pytest.mark.taskrun(kept(LOOK_FOR_TOKEN)), id="default"),
        pytest.param(
            "a token",
            marks=pytest.mark.taskrun(kept(LOOK_FOR_TOKEN, serviceAccountName="default")),
            id="named-account",
        ),
        pytest.param(
            "a token",
            marks=pytest.mark.taskrun(
                kept(LOOK_FOR_TOKEN, **pod_spec(automountServiceAccountToken=True))
            ),
            id="automounted",
        ),
        pytest.param(
            "none",
            marks=pytest.mark.taskrun(
                kept(
                    LOOK_FOR_TOKEN,
                    serviceAccountName="default",
                    **pod_spec(automountServiceAccountToken=False),
                )
            ),
            id="disabled",
        ),
    ],
)
def test_a_task_has_a_token_only_if_the_run_requests_one(run: Run, found: str) -> None:
    assert log_of(run) == f"{found}\n"


@pytest.mark.guarantee("A Pod has the runtime's seccomp profile unless the run sets one")
@pytest.mark.parametrize(
    "seccomp",
    [
        pytest.param(FILTERED, marks=pytest.mark.taskrun(kept(LOOK_AT_SECCOMP)), id="default"),
        pytest.param(
            OFF,
            marks=pytest.mark.taskrun(
                kept(LOOK_AT_SECCOMP, **pod_spec(securityContext=UNCONFINED))
            ),
            id="unconfined",
        ),
    ],
)
def test_a_task_runs_under_the_runtimes_seccomp_profile_unless_it_sets_one(
    run: Run, seccomp: str
) -> None:
    assert log_of(run) == seccomp


LAYERS = ("SITE", "TEMPLATE", "SHORTHAND")
"""Variables that the site sets; the template overrides the last two, the shorthand the last."""

LAYERED = {
    **kept('echo "$SITE $TEMPLATE $SHORTHAND"'),
    "env": [{"name": "SHORTHAND", "value": "shorthand"}],
    "tolerations": [{"key": "example.test/own", "operator": "Exists"}],
    "template": {
        "metadata": {"labels": {"example.test/team": "data"}},
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "env": [{"name": name, "value": "template"} for name in LAYERS[1:]],
                }
            ]
        },
    },
}


@pytest.mark.guarantee(
    "The template overrides the site defaults, and the short fields override both"
)
@pytest.mark.taskrun(LAYERED)
def test_the_template_overrides_site_defaults_and_short_fields_override_both(run: Run) -> None:
    assert log_of(run) == "site template shorthand\n"
    pod = run.pod()
    labels = pod["metadata"]["labels"]
    assert (labels[SITE_KEY], labels["example.test/team"]) == ("default", "data")
    tolerated = [toleration["key"] for toleration in pod["spec"]["tolerations"]]
    assert tolerated[:2] == [SITE_KEY, "example.test/own"]


QUEUE = {"kueue.x-k8s.io/queue-name": "nightly", "kueue.x-k8s.io/priority-class": "low"}


@pytest.mark.guarantee("Of a TaskRun's own labels only those of Kueue reach the Pod")
def test_only_kueues_labels_of_a_run_are_copied_to_its_pod(scenario: Scenario) -> None:
    labels = {**QUEUE, "example.test/mine": "stays"}
    run = scenario.create("queued-by-kueue", shell("exit 0"), labels=labels)
    assert run.ended()["phase"] == "Succeeded"
    pod_labels = run.pod()["metadata"]["labels"]
    assert {key: pod_labels.get(key) for key in labels} == {**QUEUE, "example.test/mine": None}
