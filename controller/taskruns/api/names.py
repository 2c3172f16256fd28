"""Names in the cluster: API group, labels, annotations, finalizer, gate and Pod names.

A Pod's name is a pure function of the run's name, its uid and the attempt's number, so that a
create that is sent twice makes only one Pod.
"""

from collections.abc import Sequence

GROUP = "taskruns.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "TaskRun"
PLURAL = "taskruns"
SINGULAR = "taskrun"
SHORT_NAME = "trun"

LABEL_UID = f"{GROUP}/taskrun-uid"
LABEL_NAME = f"{GROUP}/taskrun"
LABEL_ATTEMPT = f"{GROUP}/attempt"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "taskruns"

ANNOTATION_COLLECTED = f"{GROUP}/collected"
"""Annotation of a TaskRun: uid of the Pod whose log and outcome the client has read."""

ANNOTATION_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
"""Annotation of a Pod template: name of the main container. kubectl reads it too."""

ANNOTATION_DOCKER_NETWORK = f"docker.{GROUP}/network"
"""Annotation of a Pod template: Docker network to join instead of the default one; `none` for no
network. Clusters ignore it."""

FINALIZER_OUTCOME = f"{GROUP}/outcome"
"""Finalizer that keeps a Pod until its outcome is in the TaskRun's status."""

GATE_CLAIM = f"{GROUP}/claim"
"""Scheduling gate of a Pod, removed after its uid is in the TaskRun's status."""

PROPAGATED_LABEL_PREFIX = "kueue.x-k8s.io/"
"""Prefix of the labels that are copied from a TaskRun to its Pods; Kueue reads them."""

LABEL_QUEUE = f"{PROPAGATED_LABEL_PREFIX}queue-name"
LABEL_QUEUE_MANAGED = f"{PROPAGATED_LABEL_PREFIX}managed"
"""Labels of a Pod that Kueue manages. Kueue itself sets the second one, to `true`."""

DOCKER_NODE = "docker"
"""Node name in records on Docker, where the daemon is the only node."""

MAIN_CONTAINER = "main"

CLIENT_ROLE = "taskruns-client"
"""Name of the chart's role for clients that create TaskRuns, in a release with the default name."""

NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
"""Regular expression of TaskRun names: an RFC 1123 subdomain, as for most Kubernetes objects."""

MAX_LABEL_LENGTH = 63
"""Maximum length of label values in Kubernetes, and so of names that become label values."""

_HASH_LENGTH = 10


def pod_name(run_name: str, run_uid: str, attempt: int) -> str:
    """Return the name of an attempt's Pod: `<run>-<hash of the uid>-<attempt>`.

    It has at most 63 characters; the run's name is cut to fit.
    """
    import hashlib  # noqa: PLC0415 - the command line starts faster without it

    digest = hashlib.sha256(run_uid.encode()).hexdigest()[:_HASH_LENGTH]
    tail = f"-{digest}-{attempt}"
    return run_name[: MAX_LABEL_LENGTH - len(tail)].rstrip("-.") + tail


def main_container_name(containers: Sequence[str], annotated: str) -> str:
    """Return the main container: the annotated one, the only one, or the one called `main`.

    Args:
        containers: names of the containers.
        annotated: value of the annotation ANNOTATION_DEFAULT_CONTAINER; empty without it.

    Returns:
        str: the container's name; empty if no container qualifies.
    """
    if annotated in containers:
        return annotated
    if len(containers) == 1:
        return containers[0]
    return MAIN_CONTAINER if MAIN_CONTAINER in containers else ""
