"""Translation of messages for Docker users; the output of a task is not changed."""

import re

import pytest

from taskruns.api.reasons import Place, Reason
from taskruns.engines.docker.pod_status import translate_message, translate_status

CLUSTER = re.compile(r"\bPods?\b|\bnode\b|imagePullSecrets|kubectl|podGC|the cluster\b")


LOG = "Read its log while the container is kept: docker logs hello-1"
NO_LOG = "(the Docker daemon keeps no log of this container: x)"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            f"The Pod is gone. {LOG}. Last output: Pods | the Pod",
            f"The container is gone. {LOG}. Last output: Pods | the Pod",
        ),
        (
            "The Pod ended before its main container started",
            "The container ended before its program started",
        ),
        (
            "The run was cancelled while no Pod of it was running",
            "The run was cancelled while no container of it was running",
        ),
        (Reason.WAITING_TO_START.meaning, "The attempt's container has not started yet."),
        (
            f"{Reason.POD_DELETED.meaning.rstrip('.')}; container main exited with code 137",
            "Another client removed the container; container main exited with code 137",
        ),
        (f"It failed. {LOG}. Last output: {NO_LOG}", f"It failed. Last output: {NO_LOG}"),
    ],
)
def test_messages_name_containers_instead_of_pods(message: str, words: str) -> None:
    assert translate_message(message) == words
    assert translate_message(words) == words


@pytest.mark.parametrize(
    "reason",
    [Reason.WAITING_TO_START, Reason.CONTAINER_CONFIG_ERROR, Reason.IMAGE_PULL_FAILED,
     Reason.INVALID_POD_TEMPLATE, Reason.FINAL_STATE_UNKNOWN, Reason.POD_DELETED,
     Reason.POD_REJECTED, Reason.NON_ZERO_EXIT_CODE, Reason.CONTAINER_CANNOT_START],
)  # fmt: skip
def test_reasons_on_docker_name_no_objects_of_a_cluster(reason: Reason) -> None:
    advice = reason.advice_in(Place.DOCKER).replace("POD", "hello-1").replace("CONTAINER", "main")
    meaning = reason.meaning if reason is not Reason.CONTAINER_CONFIG_ERROR else ""
    assert not CLUSTER.search(translate_message(f"{meaning.rstrip('.')}. {advice}"))


def test_only_the_messages_of_a_status_are_translated() -> None:
    message = "The Pod ended"
    status = {
        "message": message,
        "result": message,
        "attempts": [{"nodeName": "docker", "message": message}],
        "conditions": [{"type": "Failed", "message": message}],
        "podName": None,
    }
    assert translate_status(status) == {
        **status,
        "message": "The container ended",
        "attempts": [{"nodeName": "docker", "message": "The container ended"}],
        "conditions": [{"type": "Failed", "message": "The container ended"}],
    }
