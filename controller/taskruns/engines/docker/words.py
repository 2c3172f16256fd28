"""Translation of status messages for Docker users, who know containers but no Pods.

The decisions write advice for Docker themselves; the messages about a Pod are translated here. The
output of a task within a message is not changed. Pure.
"""

import re
from typing import Any

from taskruns.api.reasons import Reason
from taskruns.api.v1alpha1.status import join_output, split_output
from taskruns.core.unstructured import Draft

NO_LOG = "the Docker daemon keeps no log of this container"
"""Start of the sentence that replaces the end of an unreadable log."""

_MEANINGS = {
    reason.meaning.rstrip("."): reason.docker_meaning.rstrip(".")
    for reason in Reason
    if reason.docker_meaning != reason.meaning
}
_PATTERNS = (
    (re.compile(r"\bits main container\b"), "its program"),
    (re.compile(r"\bPods\b"), "containers"),
    (re.compile(r"\bPod\b"), "container"),
)
_READ_THE_LOG = re.compile(r"\. Read its log[^.]*")


def translate_status(status: Draft) -> Draft:
    """Return a status, or a part of one, with messages translated for Docker users."""
    return {name: _translate(name, value) for name, value in status.items()}


def _translate(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return translate_status(value)
    if isinstance(value, list):
        return [_translate(name, item) for item in value]
    return translate_message(value) if name == "message" and isinstance(value, str) else value


def translate_message(message: str) -> str:
    """Return a message translated for Docker users, without advice to read a log that is lost."""
    cause, output = split_output(message)
    for meaning, docker_meaning in _MEANINGS.items():
        cause = cause.replace(meaning, docker_meaning)
    for pattern, words in _PATTERNS:
        cause = pattern.sub(words, cause)
    if any(NO_LOG in line for line in output):
        cause = _READ_THE_LOG.sub("", cause)
    return join_output(cause, output)
