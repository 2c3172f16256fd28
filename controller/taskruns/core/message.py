"""Messages for users: cause, node, last lines of output, advice."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from taskruns.api.conditions import Outcome
from taskruns.api.reasons import Place, Reason
from taskruns.api.v1alpha1 import TaskRun
from taskruns.api.v1alpha1.status import join_output
from taskruns.core.facts import PodFacts
from taskruns.core.unstructured import mapping, mappings, text
from taskruns.core.verdict import Verdict


def describe_owner(pod: Mapping[str, Any]) -> str:
    """Return a phrase with the Pod's owner, such as "a Pod of Job/hello (uid ...)"."""
    owners = mappings(mapping(pod.get("metadata")).get("ownerReferences"))
    owner = next((each for each in owners if each.get("controller") is True), None)
    if owner is None:
        owner = next(iter(owners), None)
    if owner is None:
        return "a Pod without an owner"
    kind, name, uid = (text(owner.get(key)) for key in ("kind", "name", "uid"))
    return f"a Pod of {kind}/{name} (uid {uid})"


MAX_TAIL_CHARACTERS = 1024
MAX_TAIL_LINES = 10
"""Limits on the task's output in a message: characters and lines, from the end."""

MAX_ATTEMPT_MESSAGE = 256
MAX_MESSAGE = 2048
"""Limits on the message of an attempt's record and of the run, in characters."""

_WORD = re.compile(r"[^\W\d_]+")


def describe(pod: PodFacts | None, verdict: Verdict) -> str:
    """Return the cause of an attempt's end and its node, without a full stop."""
    return f"{verdict.cause.rstrip('.')}{_place(pod, verdict.cause)}"


def describe_count(run: TaskRun, verdict: Verdict) -> str:
    """Return a sentence such as "Attempt 2 of 4", without a full stop; empty without retries.

    Attempts that were replaced, disrupted, requeued or ignored have no number, because backoffLimit
    does not count them.
    """
    limit = run.spec.backoff_limit or 0
    if not limit or verdict.outcome not in (Outcome.FAILED, Outcome.SUCCEEDED):
        return ""
    return f"Attempt {(run.status.failed or 0) + 1} of {limit + 1}"


def _place(pod: PodFacts | None, cause: str) -> str:
    """Return a phrase with the node, or an empty text if the cause names it already.

    A cause with a colon ends with a message of the cluster, so the node goes in parentheses.
    """
    if pod is None or not pod.shown_node or pod.shown_node in cause:
        return ""
    return f" (node {pod.node})" if ": " in cause else f" on node {pod.node}"


def with_output(cause: str, verdict: Verdict) -> str:
    """Return a cause and the last lines of the verdict's output, joined into one line."""
    tail = verdict.output[-MAX_TAIL_CHARACTERS:].splitlines()[-MAX_TAIL_LINES:]
    return join_output(cause, tail)


def one_line(text: str, max_length: int) -> str:
    """Return the start of a text as one line that is safe to print on a terminal.

    Messages contain text from tasks and other programs. Line breaks, escape sequences and
    bidirectional marks could forge output, so each such character becomes a space.

    Args:
        text: the text.
        max_length: maximum length, in characters.
    """
    start = text[:max_length]
    if start.isprintable():
        return start
    return "".join(char if char.isprintable() else " " for char in start)


def was_cut(text: str, limit: int) -> bool:
    """Return whether a termination message may have exactly the kubelet's maximum length.

    A byte that is not UTF-8 arrives as U+FFFD, which is three bytes long. Each U+FFFD was thus one
    byte or three, so that only the possible lengths of the text are known.

    Args:
        text: the termination message.
        limit: size to which the kubelet truncates it, in bytes.
    """
    most = len(text.encode(errors="surrogatepass"))
    least = most - 2 * text.count("\N{REPLACEMENT CHARACTER}")
    return least <= limit <= most and (limit - least) % 2 == 0


def same_cause(before: str, after: str) -> bool:
    """Return whether two sentences have the same words, ignoring numbers and order.

    The scheduler's message, such as `1 Insufficient cpu, 2 node(s) had a taint`, has new counts at
    every try. The status must not be written each time.
    """
    words = [sorted(_WORD.findall(sentence[:MAX_MESSAGE])) for sentence in (before, after)]
    return words[0] == words[1]


_Advice = tuple[str, str]
"""A pattern for the cause in lower case, and the advice for it."""

_CONTAINER: Sequence[_Advice] = (
    (
        r"(configmap|secret) \"[^\"]*\" not found|object \".*\" not registered",
        "Create the ConfigMap or Secret in namespace NAMESPACE, or correct the reference.",
    ),
    (
        r"couldn't find key|environment variable key .* not found",
        "Add the key to the object that the message names, or correct the reference.",
    ),
    (
        r"non-numeric user",
        (
            "Set securityContext.runAsUser to the number of the image's user: runAsNonRoot cannot "
            "be checked for a user's name."
        ),
    ),
    (
        r"runasnonroot|non-root policy",
        (
            "Set securityContext.runAsUser to a number other than 0, or use an image whose user is "
            "not root."
        ),
    ),
    (
        r"unable to find (user|group)|no users found|no matching entries in (passwd|group) file",
        "Set securityContext.runAsUser and runAsGroup to numbers, or to a user of the image.",
    ),
    (
        r"subpath",
        "Check subPath and subPathExpr: a relative path that stays within its volume.",
    ),
    (
        r"cannot find (the )?volume",
        "Add the volume to volumes, or correct the name in volumeMounts.",
    ),
    (
        r"exec format error|no match for platform",
        "Use an image that is built for the architecture of this machine.",
    ),
    (
        (
            r"executable file not found|no command specified|stat [^:]*: no such file or directory"
            r"|exec:? .*(permission denied|no such file or directory|is a directory)"
            r"|exec \S+: (permission denied|no such file or directory)"
        ),
        "Check command and args, and that the image has that program as an executable file.",
    ),
    (
        r"chdir to cwd|mkdir .* as cwd|container init: mkdir|working director",
        "Check workingDir: a directory that the container's user may enter.",
    ),
    (
        (
            r"hugetlb|hugepage|cpuset|cfs_quota|cpu\.max|memory\.(max|limit)|minimum memory"
            r"|memory limit|nanocpus|range of cpus"
        ),
        "Check resources.limits and resources.requests against what the machine has.",
    ),
    (
        r"seccomp|apparmor|selinux|sysctl|capabilit",
        "Check securityContext against what the machine offers.",
    ),
    (
        r"device",
        "Check the device that the message names: it must exist on the machine.",
    ),
    (
        r"mount|rootfs|read-only file system|not a directory|file exists",
        (
            "Check volumeMounts: each mountPath must be a place where the image allows a mount, "
            "and a file cannot be mounted over a directory."
        ),
    ),
)

_IMAGE: Sequence[_Advice] = (
    (r"pull policy of never|errimageneverpull", "Load the image there, or change imagePullPolicy."),
    (r"no match for platform", "Use an image that is built for the architecture of this machine."),
    (
        r"x509|http response to https|certificate",
        "Check the registry's certificate, and which registries the machine trusts.",
    ),
)

_BY_CAUSE = {
    Reason.CONTAINER_CONFIG_ERROR: _CONTAINER,
    Reason.CONTAINER_CANNOT_START: _CONTAINER,
    Reason.IMAGE_PULL_FAILED: _IMAGE,
}


def advise(reason: Reason, cause: str, place: Place) -> str:
    """Return the advice for a cause, or else the general advice of its reason.

    Args:
        reason: the reason of the failure.
        cause: the cause, including the message of the kubelet or the Docker daemon.
        place: the kind of runtime, whose commands and terms the advice uses.
    """
    words = cause.lower()
    known = (text for pattern, text in _BY_CAUSE.get(reason, ()) if re.search(pattern, words))
    return next(known, reason.advice_in(place))


def address(advice: str, run: TaskRun, pod: PodFacts | None) -> str:
    """Return advice with NAMESPACE, POD and CONTAINER replaced by the run's names.

    Without a Pod, POD and CONTAINER stay as they are.
    """
    names = {"NAMESPACE": run.metadata.namespace}
    if pod is not None:
        failed = pod.failed_init if pod.main.started_at is None else None
        names["POD"] = run.status.pod_name or pod.ref.name
        names["CONTAINER"] = failed.name if failed is not None else pod.main.name
    return re.sub(
        r"\b(NAMESPACE|POD|CONTAINER)\b", lambda match: names.get(match[0], match[0]), advice
    )
