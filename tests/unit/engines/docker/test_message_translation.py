"""Translation of messages for Docker users; the output of a task is not changed."""

import re

import pytest

from taskruns.api.reasons import Place, Reason
from taskruns.engines.docker.words import in_docker_words, translated

CLUSTER = re.compile(r"\bPods?\b|\bnode\b|imagePullSecrets|kubectl|podGC|the cluster\b")


LOG = "Read its log while podGC keeps the Pod: kubectl logs hello-1 -c main"
NO_LOG = "(the Docker daemon keeps no log of this container: x)"
PULL = "Container main cannot start: pull: not found"
LOGIN = "Check the image's name and tag, `docker login`, and that the registry answers."


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Container main completed on node docker", "Container main completed"),
        (
            f"It failed on node docker. {LOG}. Last output: on node docker | Pod",
            (
                "It failed. Read its log while the container is kept: docker logs hello-1. "
                "Last output: on node docker | Pod"
            ),
        ),
        (f"{PULL} (node docker). {Reason.IMAGE_PULL_FAILED.advice}", f"{PULL}. {LOGIN}"),
        ("Failed: kubectl logs hello-1 -n default -c main.", "Failed: docker logs hello-1."),
        (
            "The run was cancelled while no Pod of it was running",
            "The run was cancelled while no container of it was running",
        ),
        (Reason.WAITING_TO_START.meaning, "The attempt's container has not started."),
        (f"It failed. {LOG}. Last output: {NO_LOG}", f"It failed. Last output: {NO_LOG}"),
    ],
)
def test_a_message_is_in_the_words_of_the_place(message: str, words: str) -> None:
    assert translated(message) == words
    assert translated(words) == words


@pytest.mark.parametrize(
    "reason",
    [Reason.WAITING_TO_START, Reason.CONTAINER_CONFIG_ERROR, Reason.IMAGE_PULL_FAILED,
     Reason.INVALID_POD_TEMPLATE, Reason.FINAL_STATE_UNKNOWN, Reason.POD_DELETED,
     Reason.POD_REJECTED, Reason.NON_ZERO_EXIT_CODE, Reason.CONTAINER_CANNOT_START],
)  # fmt: skip
def test_what_may_happen_on_docker_is_told_without_words_of_a_cluster(reason: Reason) -> None:
    advice = reason.advice_in(Place.DOCKER).replace("POD", "hello-1").replace("CONTAINER", "main")
    meaning = reason.meaning if reason is not Reason.CONTAINER_CONFIG_ERROR else ""
    assert not CLUSTER.search(translated(f"{meaning.rstrip('.')} on node docker. {advice}"))


def test_every_message_of_a_status_is_translated_and_nothing_else() -> None:
    on_node = "It ended on node docker"
    status = {
        "message": on_node,
        "result": on_node,
        "attempts": [{"nodeName": "docker", "message": on_node}],
        "conditions": [{"type": "Failed", "message": on_node}],
        "podName": None,
    }
    assert in_docker_words(status) == {
        **status,
        "message": "It ended",
        "attempts": [{"nodeName": "docker", "message": "It ended"}],
        "conditions": [{"type": "Failed", "message": "It ended"}],
    }
