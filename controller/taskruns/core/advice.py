"""The last sentence of a failed run's message: the next step that fits the cause."""

import re
from collections.abc import Sequence

from taskruns.api.reasons import Place, Reason
from taskruns.api.v1alpha1 import TaskRun
from taskruns.core.facts import PodFacts

_Advice = tuple[str, str]
"""A pattern of the cause, in lower case, and the advice."""

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
    """Return the advice that fits a cause; the reason's own where no more is known.

    Args:
        reason: why the run failed.
        cause: the sentence that names the cause, with the words of the kubelet or the daemon.
        place: the runtime whose words to use.
    """
    words = cause.lower()
    known = (text for pattern, text in _BY_CAUSE.get(reason, ()) if re.search(pattern, words))
    return next(known, reason.advice_in(place))


def address(advice: str, run: TaskRun, pod: PodFacts | None) -> str:
    """Return an advice with the names of the namespace, Pod and container filled in."""
    names = {"NAMESPACE": run.metadata.namespace}
    if pod is not None:
        failed = pod.failed_init if pod.main.started_at is None else None
        names["POD"] = run.status.pod_name or pod.ref.name
        names["CONTAINER"] = failed.name if failed is not None else pod.main.name
    return re.sub(
        r"\b(NAMESPACE|POD|CONTAINER)\b", lambda match: names.get(match[0], match[0]), advice
    )
