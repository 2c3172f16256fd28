"""Pods that look like a controller's, made by a foreign client or by a late create request."""

from typing import Any

from taskruns.api import names
from tests.support.builders.manifests import IMAGE
from tests.support.cluster.client import Object
from tests.support.cluster.run import Run

BUSY: Object = {"command": ["sleep", "600"]}
"""Container fields of work that does not end by itself within a test."""


def lookalike_pod(
    run: Run, name: str, work: Object, *, attempt: int, gated: bool, **metadata: Any
) -> Object:
    """Return a Pod with the labels and the owner of an attempt.

    `work` holds fields of its container, and `metadata` further metadata of the Pod.
    """
    owner = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": run.name,
        "uid": run.uid,
        "controller": True,
    }
    labels = {
        names.LABEL_UID: run.uid,
        names.LABEL_NAME: run.name,
        names.LABEL_ATTEMPT: str(attempt),
        names.LABEL_MANAGED_BY: names.MANAGER,
    }
    spec: Object = {
        "containers": [{"name": "main", "image": IMAGE, **work}],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
    }
    if gated:
        spec["schedulingGates"] = [{"name": names.GATE_CLAIM}]
    return {
        "metadata": {"name": name, "labels": labels, "ownerReferences": [owner], **metadata},
        "spec": spec,
    }
