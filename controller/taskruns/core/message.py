"""Sentences for people: what happened, where, which attempt, and the last words of the log."""

import re

from taskruns.api.conditions import Outcome
from taskruns.api.message_output import join_output
from taskruns.api.v1alpha1 import TaskRun
from taskruns.core.facts import PodFacts
from taskruns.core.verdict import Verdict

MAX_TAIL_CHARACTERS = 1024
MAX_TAIL_LINES = 10
MAX_ATTEMPT_MESSAGE = 256
MAX_MESSAGE = 2048

_WORD = re.compile(r"[^\W\d_]+")


def describe(pod: PodFacts | None, verdict: Verdict) -> str:
    """Return what ended an attempt and on which node, without a full stop."""
    return f"{verdict.cause.rstrip('.')}{_place(pod, verdict.cause)}"


def describe_count(run: TaskRun, verdict: Verdict) -> str:
    """Return a sentence with the number of this attempt among those of backoffLimit, or nothing.

    Attempts that backoffLimit does not count (replaced, disrupted, requeued, ignored) are left out.
    """
    limit = run.spec.backoff_limit or 0
    if not limit or verdict.outcome not in (Outcome.FAILED, Outcome.SUCCEEDED):
        return ""
    return f"Attempt {(run.status.failed or 0) + 1} of {limit + 1}"


def _place(pod: PodFacts | None, cause: str) -> str:
    """Name the node, where it is not named yet; not as a part of what somebody else has said."""
    if pod is None or not pod.shown_node or pod.shown_node in cause:
        return ""
    return f" (node {pod.node})" if ": " in cause else f" on node {pod.node}"


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
