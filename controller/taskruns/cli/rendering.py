"""The Pod, or the container, that a TaskRun would run as; for the first attempt."""

from collections.abc import Mapping
from typing import Any

from taskruns.api.v1alpha1 import TaskRun
from taskruns.core.pods import build_pod
from taskruns.core.unstructured import mapping, text
from taskruns.engines.docker.container import NO_SECRETS, Secrets, container_of

UNKNOWN_UID = "00000000-0000-0000-0000-000000000000"
"""The uid that a TaskRun is given when it is created is part of its Pods' names."""


def pod_of(manifest: Mapping[str, Any], namespace: str = "default") -> dict[str, Any]:
    """Return the Pod of the first attempt, without what a site adds.

    Raises:
        InvalidTemplate: no Pod can be made of it.
        ValidationError: it is no TaskRun.
    """
    given = mapping(manifest.get("metadata"))
    name = text(given.get("name")) or f"{text(given.get('generateName'))}xxxxx"
    place = text(given.get("namespace")) or namespace
    metadata = {**given, "name": name, "namespace": place, "uid": UNKNOWN_UID}
    run = TaskRun.model_validate({"metadata": metadata, "spec": manifest.get("spec")})
    return build_pod(run, 1)


def container_body(pod: Mapping[str, Any], given: Secrets = NO_SECRETS) -> dict[str, Any]:
    """Return what the Docker daemon would be asked to create.

    Raises:
        Unsupported: Docker cannot do it.
    """
    return container_of(pod, given)
