"""What a status says on a Docker host is about containers, not about a cluster."""

import re

import pytest

from taskruns.api.reasons import Reason
from taskruns.engines.docker.wording import worded

ON_DOCKER = [
    Reason.COMPLETED, Reason.RESULT_TOO_LARGE, Reason.WAITING_TO_START, Reason.MAIN_RUNNING,
    Reason.SUSPENDED, Reason.RESUMED, Reason.NON_ZERO_EXIT_CODE, Reason.KILLED_BY_SIGNAL,
    Reason.OOM_KILLED, Reason.CONTAINER_CANNOT_START, Reason.IMAGE_PULL_FAILED,
    Reason.CONTAINER_CONFIG_ERROR, Reason.STARTUP_TIMEOUT, Reason.POD_DELETED,
    Reason.POD_REJECTED, Reason.FINAL_STATE_UNKNOWN, Reason.DEADLINE_EXCEEDED,
    Reason.ATTEMPT_DEADLINE_EXCEEDED, Reason.CANCELLED, Reason.INVALID_POD_TEMPLATE,
    Reason.POD_NAME_CONFLICT, Reason.INVALID_TASK_RUN,
]  # fmt: skip
OF_A_CLUSTER = re.compile(
    r"cluster|kubectl|kubelet|podGC|imagePullSecrets|\bPods?\b|\bnode\b|ConfigMap|Secret\b"
    r"|Kubernetes"
)


def filled(text: str) -> str:
    """The text with its placeholders filled in, as the decision does."""
    return text.replace("POD", "hello-1").replace("CONTAINER", "main").replace("NAMESPACE", "etl")


@pytest.mark.parametrize("reason", ON_DOCKER)
def test_no_reason_speaks_of_a_cluster(reason: Reason) -> None:
    for message in (
        reason.meaning,
        f"{reason.meaning.rstrip('.')}: no such host. {filled(reason.advice)}",
        f"Container main ended on node docker. {filled(reason.advice).rstrip('.')}",
    ):
        assert OF_A_CLUSTER.search(worded(message)) is None, worded(message)


def test_the_log_is_read_by_the_docker_command() -> None:
    message = f"It failed on node docker. {filled(Reason.NON_ZERO_EXIT_CODE.advice)}"
    assert worded(message) == "It failed. Read its log: docker logs hello-1."


def test_the_output_of_the_task_stays_as_it_is() -> None:
    output = "the Pod on node docker | kubectl logs a -c b"
    assert worded(f"It failed on node docker. Last output: {output}") == (
        f"It failed. Last output: {output}"
    )
