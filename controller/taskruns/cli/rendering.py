"""The Pod or container of a TaskRun's first attempt."""

from collections.abc import Mapping
from typing import Any

from taskruns.api.v1alpha1 import TaskRun
from taskruns.core.pods import build_pod
from taskruns.core.unstructured import mapping, text
from taskruns.engines.docker.container import NO_SECRETS, Secrets, container_of

UNKNOWN_UID = "00000000-0000-0000-0000-000000000000"
"""Placeholder for the uid, which is assigned at creation and is part of Pod names."""


def pod_of(manifest: Mapping[str, Any], namespace: str = "default") -> dict[str, Any]:
    """Return the Pod of the first attempt, without site defaults.

    Raises:
        InvalidTemplate: no Pod can be built from the template.
        ValidationError: the manifest is not a valid TaskRun.
    """
    declared = mapping(manifest.get("metadata"))
    name = text(declared.get("name")) or f"{text(declared.get('generateName'))}xxxxx"
    place = text(declared.get("namespace")) or namespace
    metadata = {**declared, "name": name, "namespace": place, "uid": UNKNOWN_UID}
    run = TaskRun.model_validate({"metadata": metadata, "spec": manifest.get("spec")})
    return build_pod(run, 1)


def container_body(pod: Mapping[str, Any], secrets: Secrets = NO_SECRETS) -> dict[str, Any]:
    """Return the body of the Docker daemon's create request.

    Raises:
        Unsupported: Docker cannot honour a field of the Pod.
    """
    return container_of(pod, secrets)
