"""TaskRun manifests for tests: a shell script in the one image that every test cluster has."""

from collections.abc import Mapping
from typing import Any

from taskruns.api import names
from tests.support.cluster.client import Object

IMAGE = "busybox:1"

KEEP_POD: Object = {"podGC": {"strategy": "Never"}}
"""Fields for tests that read a log: the Pod stays as long as its TaskRun."""

SOON: Object = {"backoff": {"duration": "500ms", "factor": 1}}
"""Fields for tests of retries that need no realistic backoff."""


HEARD = "sleep 1"
"""Command that a task ends with when a test needs its last log line.

The kubelet reads the log when the container has ended, and gets only what containerd has written
until then.
"""


def shell(script: str, **spec: Any) -> Object:
    """Return a TaskRun's spec that runs a script; keywords are further fields by JSON name."""
    # Kubernetes reads $$ in arguments as an escaped $.
    arguments = [script.replace("$$", "$$$$")]
    return {"image": IMAGE, "command": ["sh", "-c"], "args": arguments, **spec}


def pod_spec(**fields: Any) -> Object:
    """Return a template with these fields of the Pod's spec."""
    return {"template": {"spec": fields}}


def _never_at_first() -> Object:
    attempt = {"fieldRef": {"fieldPath": f"metadata.labels['{names.LABEL_ATTEMPT}']"}}
    prepare = {
        "name": "prepare",
        "image": IMAGE,
        "command": ["sh", "-c", '[ "$ATTEMPT" -ge 2 ] || sleep 600'],
        "env": [{"name": "ATTEMPT", "valueFrom": attempt}],
    }
    return {"initContainers": [prepare]}


NEVER_AT_FIRST: Object = _never_at_first()
"""Pod spec fields with which an init container blocks main of the first attempt for 600 s."""


def task_run(name: str, namespace: str, spec: Mapping[str, Any]) -> Object:
    """Return a whole TaskRun; the apiserver completes a name that ends in a dash."""
    named = "generateName" if name.endswith("-") else "name"
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {named: name, "namespace": namespace},
        "spec": dict(spec),
    }
