"""Messages about a run in the words of a Docker host. Pure.

The decision is written for clusters, and so are the sentences that it puts into a status. What has
no meaning on a Docker host, such as a node or a pull secret, is replaced here.
"""

import re
from collections.abc import Iterator

from taskruns.api.output import join_output, split_output
from taskruns.api.reasons import Reason

_MEANINGS = {
    Reason.RESULT_TOO_LARGE: "The result was cut at the limit of 4096 bytes, so it was not stored.",
    Reason.WAITING_TO_START: "The container has not started.",
    Reason.MAIN_ENDED: "The main container ended.",
    Reason.IMAGE_PULL_FAILED: "The image could not be pulled, or its name is not valid.",
    Reason.CONTAINER_CONFIG_ERROR: "The container could not be created.",
    Reason.POD_DELETED: "Somebody removed the container.",
    Reason.POD_REJECTED: "The container ended, and Docker did not report how.",
    Reason.FINAL_STATE_UNKNOWN: "Nobody saw how the container ended.",
    Reason.INVALID_POD_TEMPLATE: "Docker cannot run what the TaskRun asks for.",
    Reason.POD_NAME_CONFLICT: "A container that is not this run's has the name of its container.",
}
"""What a reason means, where the general sentence is about a cluster."""

_ADVICE = {
    Reason.WAITING_TO_START: "If it stays, `docker ps --all` and the daemon's log show why.",
    Reason.NON_ZERO_EXIT_CODE: "Read its log: docker logs POD.",
    Reason.IMAGE_PULL_FAILED: "Check the image's name and tag, that `docker login` was done where "
    "the registry asks for it, and that the registry answers.",
    Reason.CONTAINER_CONFIG_ERROR: "Correct what the message names.",
    Reason.STARTUP_TIMEOUT: "Raise startupTimeoutSeconds for slow images.",
    Reason.POD_REJECTED: "Look at the message; run it again.",
    Reason.POD_NAME_CONFLICT: "Remove that container (`docker rm`), or run it under another name.",
}
"""What to do, where the general advice is about a cluster."""

_PLAIN = (
    (re.compile(r" on node docker\b| \(node docker\)"), ""),
    (re.compile(r"kubectl (?:-n \S+ )?logs (?:-n \S+ )?(\S+)(?: -n \S+)? -c \S+?(?=[.\s]|$)"),
     r"docker logs \1"),
    (re.compile(r"\b([Tt])he Pod\b"), r"\1he container"),
)  # fmt: skip


def worded(message: str) -> str:
    """Return a status's message for a Docker host; the output of the task in it stays as it is."""
    cause, output = split_output(message)
    for pattern, words in _REASONS:
        cause = pattern.sub(words, cause)
    for pattern, words in _PLAIN:
        cause = pattern.sub(words, cause)
    return join_output(cause, output)


def _patterns() -> Iterator[tuple[re.Pattern[str], str]]:
    """Yield what finds each reason's sentences, with or without their full stop."""
    sentences = [(reason.meaning, words) for reason, words in _MEANINGS.items()]
    sentences += [(reason.advice, words) for reason, words in _ADVICE.items()]
    for sentence, words in sentences:
        pattern = _pattern(sentence)
        pod = r"\g<pod>" if "pod" in pattern.groupindex else ""
        yield pattern, words.rstrip(".").replace("POD", pod)


def _pattern(sentence: str) -> re.Pattern[str]:
    """Return what matches a sentence whose placeholders have been filled in."""
    found = re.escape(sentence.rstrip("."))
    for placeholder in ("POD", "CONTAINER", "NAMESPACE"):
        group = r"(?P<pod>\S+?)" if placeholder == "POD" else r"\S+?"
        found = found.replace(placeholder, group, 1).replace(placeholder, r"\S+?")
    return re.compile(f"{found}(?=[.:;,\\s]|$)")


_REASONS = tuple(_patterns())
