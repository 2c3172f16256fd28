"""Advice that fits the cause and the place (core/message.py)."""

import re
from dataclasses import replace
from typing import Any

import pytest

from taskruns.api.reasons import Place, Reason
from taskruns.core.decide import decide
from taskruns.core.defaults import SiteDefaults
from taskruns.core.message import advise
from tests.support.builders.objects import (
    a_claimed_status,
    a_pod,
    a_record,
    a_run,
    at,
    ended,
    stamp,
)
from tests.support.decision import NOTHING_FOUND

POD = '(pod: "hello_default(1)", container: main)'

CONTAINER = [
    ('configmap "settings" not found', "Create the ConfigMap or Secret"),
    ('secret "password" not found', "Create the ConfigMap or Secret"),
    ("couldn't find key user in Secret default/password", "Add the key"),
    ("couldn't find key user in ConfigMap default/settings", "Add the key"),
    (f"container has runAsNonRoot and image will run as root {POD}", "number other than 0"),
    (f"container's runAsUser breaks non-root policy {POD}", "number other than 0"),
    (
        (
            "container has runAsNonRoot and image has non-numeric user (app), cannot verify user "
            f"is non-root {POD}"
        ),
        "number of the image's user",
    ),
    ('failed to create subPath directory for volumeMount "d" of container "main"', "Check subPath"),
    ('failed to prepare subPath for volumeMount "d" of container "main"', "Check subPath"),
    ('cannot find volume "d" to mount into container "main"', "Add the volume"),
    (
        (
            'failed to generate container "1" spec: failed to generate spec: failed to mkdir "/x": '
            "mount point"
        ),
        "Check volumeMounts",
    ),
    (
        (
            "failed to create shim task: OCI runtime create failed: runc create failed: unable to "
            "start "
            'container process: error during container init: error mounting "/a" to rootfs at '
            '"/etc/passwd/x": not a directory: unknown'
        ),
        "Check volumeMounts",
    ),
    (
        (
            'OCI runtime create failed: unable to start container process: exec: "nope": '
            "executable file not found in $PATH: unknown"
        ),
        "Check command and args",
    ),
    ("exec /run.sh: permission denied", "Check command and args"),
    ("failed to create containerd container: no command specified", "Check command and args"),
    ("exec /run: exec format error", "architecture"),
    ("unable to find user app: no matching entries in passwd file", "runAsUser"),
    ('unable to start container process: chdir to cwd ("/nope") failed', "Check workingDir"),
    ("error during container init: mkdir /etc/passwd: not a directory", "Check workingDir"),
    ("error gathering device information while adding custom device", "Check the device"),
    ("failed to write hugetlb.2MB.max", "Check resources"),
    ("Minimum memory limit allowed is 6MB", "Check resources"),
    ("failed to set AppArmor profile", "Check securityContext"),
    ("something nobody knows", "Correct the field that the message is about"),
]


@pytest.mark.parametrize(("cause", "advice"), CONTAINER)
@pytest.mark.parametrize("reason", [Reason.CONTAINER_CONFIG_ERROR, Reason.CONTAINER_CANNOT_START])
def test_advice_on_a_container_that_cannot_be_created_follows_its_cause(
    reason: Reason, cause: str, advice: str
) -> None:
    advised = advise(reason, f"Container main cannot start: {cause}", Place.CLUSTER)
    if "nobody knows" in cause:
        assert advised == reason.advice
    else:
        assert advice in advised


@pytest.mark.parametrize(("cause", "advice"), CONTAINER)
def test_only_a_missing_object_is_advised_to_be_created(cause: str, advice: str) -> None:
    advised = advise(Reason.CONTAINER_CONFIG_ERROR, cause, Place.CLUSTER)
    assert ("Create the ConfigMap or Secret" in advised) == advice.startswith("Create")


@pytest.mark.parametrize(
    ("cause", "advice"),
    [
        ('Container image "x" is not present with pull policy of Never', "imagePullPolicy"),
        ("no match for platform in manifest: not found", "architecture"),
        ("x509: certificate signed by unknown authority", "certificate"),
        ("docker.io/library/x:1: not found", "name and tag"),
    ],
)
def test_advice_on_an_image_that_cannot_be_pulled_follows_its_cause(
    cause: str, advice: str
) -> None:
    assert advice in advise(Reason.IMAGE_PULL_FAILED, cause, Place.CLUSTER)


CLUSTER_WORDS = re.compile(
    r"\b(kubectl|podGC|imagePullSecrets|kubelet|cluster|Pods?|namespace|ConfigMap|Secret"
    r"|ResourceQuota|priorityClassName|node (docker|selectors))\b"
)

ON_DOCKER = [
    Reason.COMPLETED,
    Reason.RESULT_TOO_LARGE,
    Reason.WAITING_TO_START,
    Reason.START_DELAYED,
    Reason.MAIN_RUNNING,
    Reason.SUSPENDED,
    Reason.RESUMED,
    Reason.NON_ZERO_EXIT_CODE,
    Reason.KILLED_BY_SIGNAL,
    Reason.OOM_KILLED,
    Reason.CONTAINER_CANNOT_START,
    Reason.IMAGE_PULL_FAILED,
    Reason.CONTAINER_CONFIG_ERROR,
    Reason.STARTUP_TIMEOUT,
    Reason.FINAL_STATE_UNKNOWN,
    Reason.DEADLINE_EXCEEDED,
    Reason.ATTEMPT_DEADLINE_EXCEEDED,
    Reason.CANCELLED,
    Reason.INVALID_POD_TEMPLATE,
    Reason.INVALID_TASK_RUN,
]
"""Reasons that a run on a Docker host can have."""


@pytest.mark.parametrize("reason", ON_DOCKER)
def test_messages_on_docker_contain_no_cluster_terms(reason: Reason) -> None:
    for cause in ("something", *(cause for cause, _ in CONTAINER[4:])):
        advice = advise(reason, cause, Place.DOCKER)
        assert not CLUSTER_WORDS.search(advice), advice
    assert not CLUSTER_WORDS.search(reason.meaning), reason.meaning


DOCKER = SiteDefaults(place=Place.DOCKER)


def message_of(run: Any, pod: Any, site: SiteDefaults = DOCKER) -> str:
    status = decide(run, [pod], at(20), NOTHING_FOUND, site).status
    assert status is not None
    return status.message or ""


def test_a_failure_on_docker_is_reported_in_dockers_terms() -> None:
    run = a_run(status=a_claimed_status("Running"))
    pod = a_pod(main=ended(3), node="docker")
    message = message_of(run, pod)
    assert message == (
        "Container main exited with code 3. Read its log while the container is kept: "
        f"docker logs {pod['metadata']['name']}"
    )
    assert "node docker" not in message_of(run, pod, replace(DOCKER, place=Place.CLUSTER))


@pytest.mark.parametrize("main", [{"running": {"startedAt": stamp(2)}}, None])
def test_a_run_on_docker_names_no_node_and_no_cluster(main: Any) -> None:
    run = a_run(status=a_claimed_status())
    if main is None:
        pod = a_pod(gated=True, node="docker")
        assert not CLUSTER_WORDS.search(message_of(a_run(), pod))
    else:
        assert message_of(run, a_pod(main=main, node="docker")) == "Container main is running"


def test_advice_names_the_runs_namespace_pod_and_container() -> None:
    run = a_run(status=a_claimed_status("Running"))
    pod = a_pod(main=ended(3))
    command = f"kubectl logs -n default {pod['metadata']['name']} -c main"
    assert message_of(run, pod, SiteDefaults()).endswith(command)
    record = a_record(stopTime=stamp(5), reason="ContainerConfigError", message="no secret")
    status = a_claimed_status("Stopping", attempts=[record])
    status["message"] = 'no secret: secret "x" not found'
    message = message_of(a_run(status=status), a_pod(phase="Failed"), SiteDefaults())
    assert "Create the ConfigMap or Secret in namespace default, or" in message
