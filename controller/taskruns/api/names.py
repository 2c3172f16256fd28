"""Every name that taskruns shares with a cluster, once: group, labels, annotations, Pod names.

A Pod's name is a pure function of the run's name, its uid and the attempt's number, so that a
create which is sent twice can only ever make one Pod.
"""

import hashlib
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
"""On a TaskRun: the uid of the Pod whose log and outcome the client has read."""

ANNOTATION_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
"""On a Pod template: the name of the main container (kubectl reads the same annotation)."""

ANNOTATION_DOCKER_NETWORK = f"docker.{GROUP}/network"
"""On a Pod template: the Docker network to join instead of the default one; `none` is no network.
A cluster does not look at it."""

FINALIZER_OUTCOME = f"{GROUP}/outcome"
"""Keeps a Pod's status readable until its outcome is in the TaskRun's status."""

GATE_CLAIM = f"{GROUP}/claim"
"""Keeps a Pod from being scheduled until its uid is in the TaskRun's status."""

PROPAGATED_LABEL_PREFIX = "kueue.x-k8s.io/"
"""Labels of a TaskRun that reach its Pods: Kueue queues a Pod by them."""

LABEL_QUEUE = f"{PROPAGATED_LABEL_PREFIX}queue-name"
LABEL_QUEUE_MANAGED = f"{PROPAGATED_LABEL_PREFIX}managed"
"""Labels of a Pod that Kueue queues: the second one is Kueue's own, `true` on every such Pod."""

DOCKER_NODE = "docker"
"""Node name in the records of a Docker host, which has one node."""

MAIN_CONTAINER = "main"

CLIENT_ROLE = "taskruns-client"
"""What the chart calls the role of whoever creates TaskRuns, in a release of the usual name."""

NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
"""A regular expression of the names that a TaskRun may have, as of most objects of Kubernetes."""

MAX_LABEL_LENGTH = 63
"""Kubernetes' bound on label values, and so on the names that become labels."""

_HASH_LENGTH = 10


def pod_name(run_name: str, run_uid: str, attempt: int) -> str:
    """Name the Pod of one attempt: `<run>-<hash of the uid>-<attempt>`, at most 63 characters."""
    digest = hashlib.sha256(run_uid.encode()).hexdigest()[:_HASH_LENGTH]
    tail = f"-{digest}-{attempt}"
    return run_name[: MAX_LABEL_LENGTH - len(tail)].rstrip("-.") + tail


def main_of(containers: Sequence[str], annotated: str) -> str:
    """Name the main container: the only one, the annotated one, or the one called `main`.

    Empty when none of these is there. `annotated` is what `ANNOTATION_DEFAULT_CONTAINER` says.
    """
    if annotated in containers:
        return annotated
    if len(containers) == 1:
        return containers[0]
    return MAIN_CONTAINER if MAIN_CONTAINER in containers else ""
