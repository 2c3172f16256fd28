"""Translation of status messages for Docker users, who know containers but no Pods or nodes.

Pure. The output of a task within a message is not changed.
"""

import re
from collections.abc import Mapping
from typing import Any

from taskruns.api import names
from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1.status import join_output, split_output
from taskruns.core.unstructured import Draft

NO_LOG = "the Docker daemon keeps no log of this container"
"""Start of the sentence that replaces the end of an unreadable log."""

_SENTENCES: Mapping[str, str] = {
    Reason.WAITING_TO_START.meaning: "The attempt's container has not started.",
    Reason.WAITING_TO_START.advice: "The message has the daemon's words where something is wrong.",
    Reason.FINAL_STATE_UNKNOWN.meaning: "The container was removed before its end was seen.",
    Reason.POD_DELETED.meaning: "Somebody removed the container.",
    Reason.POD_REJECTED.meaning: "The container ended before its program started.",
    Reason.INVALID_POD_TEMPLATE.meaning: "The run makes no container that Docker can run.",
    Reason.CONTAINER_CONFIG_ERROR.advice: "Correct what the message names, and run it again.",
    Reason.IMAGE_PULL_FAILED.advice: (
        "Check the image's name and tag, `docker login`, and that the registry answers."
    ),
}
"""Replacements for whole sentences, by the sentence of the reason."""
_PATTERNS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (rf" on node {names.DOCKER_NODE}\b| \(node {names.DOCKER_NODE}\)", ""),
        (r"kubectl (?:-n \S+ )?logs (?:-n \S+ )?(\S+)(?: -n \S+)? -c \S+?(?: -n \S+?)?(?=[.\s]|$)",
         r"docker logs \1"),
        (r"kubectl get pods?\b", "docker ps --all"),
        (r"while podGC keeps the Pod", "while the container is kept"),
        (r"The Pod no longer exists and its outcome was never reported",
         "The container no longer exists and its exit code is unknown"),
        (r"before its main container started", "before its program started"),
        (r"its main container had not started", "its container had not started"),
        (r"\bPods\b", "containers"),
        (r"\bPod\b", "container"),
    )
)  # fmt: skip
_READ_THE_LOG = re.compile(r"\. Read its log[^.]*")


def in_docker_words(status: Draft) -> Draft:
    """Return a status, or a part of one, with messages translated for Docker users."""
    return {name: _translated(name, value) for name, value in status.items()}


def _translated(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return in_docker_words(value)
    if isinstance(value, list):
        return [_translated(name, item) for item in value]
    return translated(value) if name == "message" and isinstance(value, str) else value


def translated(message: str) -> str:
    """Return a message translated for Docker users."""
    cause, output = split_output(message)
    for sentence, words in _SENTENCES.items():
        cause = cause.replace(sentence, words).replace(sentence.rstrip("."), words.rstrip("."))
    for pattern, words in _PATTERNS:
        cause = pattern.sub(words, cause)
    if any(NO_LOG in line for line in output):
        cause = _READ_THE_LOG.sub("", cause)
    return join_output(cause, output)
