"""Sentences for people: what happened, where, which attempt, and the last words of the log."""

import re

from taskruns.api.output import join_output
from taskruns.api.v1alpha1 import TaskRun
from taskruns.core.facts import PodFacts
from taskruns.core.verdict import Verdict

MAX_TAIL_CHARACTERS = 1024
MAX_TAIL_LINES = 10
MAX_ATTEMPT_MESSAGE = 256
MAX_MESSAGE = 2048

_WORD = re.compile(r"[^\W\d_]+")


def describe(run: TaskRun, pod: PodFacts | None, verdict: Verdict) -> str:
    """Say what ended an attempt, on which node, and how many are allowed."""
    node = _place(pod, verdict.cause)
    limit, number = run.spec.backoff_limit or 0, run.status.attempt or 0
    # Attempts that were not counted do not use up those that are allowed.
    allowed = number + max(limit - (run.status.failed or 0), 0)
    which = f", attempt {number} of {allowed}" if limit else ""
    which = which or (f", attempt {number}" if number > 1 else "")
    return f"{verdict.cause.rstrip('.')}{node}{which}"


def _place(pod: PodFacts | None, cause: str) -> str:
    """Name the node, where it is not named yet; not as a part of what somebody else has said."""
    if pod is None or not pod.node or pod.node in cause:
        return ""
    return f" (node {pod.node})" if ": " in cause else f" on node {pod.node}"


def addressed(advice: str, run: TaskRun, pod: PodFacts | None) -> str:
    """Put the Pod's and the container's names into an advice that names them as placeholders."""
    if pod is None:
        return advice
    failed = pod.failed_init if pod.main.started_at is None else None
    container = failed.name if failed is not None else pod.main.name
    return advice.replace("POD", run.status.pod_name or pod.ref.name).replace(
        "CONTAINER", container
    )


def with_output(cause: str, verdict: Verdict) -> str:
    """Join a cause and the last lines of output into one line."""
    tail = verdict.output[-MAX_TAIL_CHARACTERS:].splitlines()[-MAX_TAIL_LINES:]
    return join_output(cause, tail)


def one_line(text: str, most: int) -> str:
    """Return the start of a text as one line that is safe to show on a terminal.

    Others have a say in messages, and line breaks, escapes and marks that turn the direction of
    writing would let them say more than they do.
    """
    start = text[:most]
    if start.isprintable():
        return start
    return "".join(char if char.isprintable() else " " for char in start)


def was_cut(text: str, limit: int) -> bool:
    """Whether a termination message has exactly as many bytes as the kubelet keeps.

    A byte that is not UTF-8 arrives as U+FFFD, which is three bytes long: each U+FFFD stands for
    one byte or three, so of such a text only the possible lengths are known.
    """
    most = len(text.encode(errors="surrogatepass"))
    least = most - 2 * text.count("\N{REPLACEMENT CHARACTER}")
    return least <= limit <= most and (limit - least) % 2 == 0


def same_cause(before: str, after: str) -> bool:
    """Whether two sentences give one cause, whatever their numbers and the order of their parts.

    A scheduler that says `1 Insufficient cpu, 2 node(s) had a taint` counts anew at every try; a
    status that follows it would be written as often.
    """
    told = [sorted(_WORD.findall(sentence[:MAX_MESSAGE])) for sentence in (before, after)]
    return told[0] == told[1]
