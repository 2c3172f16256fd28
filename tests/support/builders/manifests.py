"""TaskRuns for tests: what is run is a line of shell, in the one image that every cluster has."""

from collections.abc import Mapping
from typing import Any

from taskruns.api import names
from tests.support.cluster.client import Object

IMAGE = "busybox:1"

KEEP_POD: Object = {"podGC": {"strategy": "Never"}}
"""For what reads a log: the Pod stays until its TaskRun goes."""

SOON: Object = {"backoff": {"duration": "500ms", "factor": 1}}
"""For what retries: no test waits for a real backoff unless that is what it tests."""


HEARD = "sleep 1"
"""After a task's last word, where it is asked for: the kubelet reads the log when the container has
ended, and takes what containerd has written of it by then."""


def shell(script: str, **spec: Any) -> Object:
    """A TaskRun's spec that runs a script; other fields by their name on the wire."""
    # Kubernetes reads $$ in arguments as an escaped $.
    arguments = [script.replace("$$", "$$$$")]
    return {"image": IMAGE, "command": ["sh", "-c"], "args": arguments, **spec}


def pod_spec(**fields: Any) -> Object:
    """A template that says something of the Pod."""
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
"""Fields of a Pod's spec: main of the first attempt waits for ever for an init container."""


def task_run(name: str, namespace: str, spec: Mapping[str, Any]) -> Object:
    """A whole TaskRun; a name that ends in a dash is completed by the apiserver."""
    named = "generateName" if name.endswith("-") else "name"
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {named: name, "namespace": namespace},
        "spec": dict(spec),
    }
