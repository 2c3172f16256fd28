"""Malicious or malformed objects that the apiserver accepts."""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskruns.api import names
from taskruns.api.crd import resource_schema
from tests.support.builders import schemas
from tests.support.builders.manifests import IMAGE, pod_spec, shell
from tests.support.cluster.client import Object

_THOROUGH = os.environ.get("TASKRUNS_PROPERTIES") == "thorough"
_TRIED = settings(
    max_examples=300 if _THOROUGH else 30,
    derandomize=not _THOROUGH,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
_SCHEMA = resource_schema()["properties"]
_MUCH = "x" * 1_000_000


def _deep(levels: int) -> Any:
    return {"x": _deep(levels - 1)} if levels else "bottom"


def _resources(amount: Any) -> Object:
    return shell("true", resources={"limits": {"memory": amount}})


def _containers(found: Any, **metadata: Any) -> Object:
    return {"image": IMAGE, "template": {"metadata": metadata, "spec": {"containers": found}}}


SPECS: Mapping[str, Object] = {
    "a-megabyte": shell("true", env=[{"name": "MUCH", "value": _MUCH}]),
    "many-variables": shell("true", env=[{"name": f"N{n}", "value": "v"} for n in range(5000)]),
    "deep": {"image": IMAGE, "template": {"spec": _deep(200)}},
    "unknown-fields": pod_spec(nonsense=True, containers=[{"name": "main", "imagine": IMAGE}]),
    "containers-null": _containers(None),
    "containers-none": _containers([]),
    "containers-empty": _containers([{}]),
    "containers-text": _containers("main"),
    "containers-twice": _containers([{"name": "main", "image": IMAGE}] * 2),
    "container-name-null": _containers([{"name": None, "image": IMAGE}]),
    "env-twice": _containers([{"name": "main", "env": [{"name": "A"}, {"name": "A"}]}]),
    "labels-of-ours": _containers(
        [{"name": "main"}],
        labels={names.LABEL_UID: "another", names.LABEL_ATTEMPT: "7", "a/b": "c" * 63},
    ),
    "labels-too-long": _containers([{"name": "main"}], labels={"a": "b" * 64}),
    "finalizers-of-others": _containers([{"name": "main"}], finalizers=["example.test/mine"]),
    "owners-of-others": _containers(
        [{"name": "main"}],
        ownerReferences=[{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "y"}],
    ),
    "namespace-of-others": _containers([{"name": "main"}], namespace="kube-system"),
    "gates-twice": pod_spec(schedulingGates=[{"name": names.GATE_CLAIM}] * 2) | {"image": IMAGE},
    "quantity-of-no-unit": _resources("512MB"),
    "quantity-negative": _resources("-1"),
    "quantity-zero": _resources(0),
    "quantity-huge": _resources("1e300"),
    "quantity-list": _resources([1]),
    "image-of-unicode": shell("true") | {"image": "büsybox:1"},
    "command-of-nothing": shell("true") | {"command": [""]},
    "service-account-of-nobody": shell("true", serviceAccountName="nobody"),
    "priority-of-nobody": shell("true", priorityClassName="nobody"),
    "selector-of-nonsense": shell("true", nodeSelector={"a b": "c d"}),
    "volume-of-nothing": shell("true", volumes=[{}, {"name": None}]),
    "retries-without-end": shell(
        "exit 1",
        backoffLimit=10_000,
        backoff={"duration": "999999h", "factor": 10, "cap": "999999h"},
    ),
    "n" * names.MAX_LABEL_LENGTH: shell("true"),
}
"""Specs with one faulty or oversized part, by the name of their TaskRun."""

NO_ROOM = "no-room-for-a-status"
"""Name of a TaskRun so large that etcd has no room left for its status."""


def filling() -> Iterator[Object]:
    """Yield specs of decreasing size; the first that the apiserver accepts leaves no room."""
    for size in range(1_573_000, 1_570_000, -200):
        yield shell("true", env=[{"name": "MUCH", "value": "x" * size}])


_RECORDS = [
    {
        "number": number,
        "podName": f"pod-{number}",
        "podUID": f"uid-{number}",
        "nodeName": "n" * 5_000,
        "message": "m" * 20_000,
        "reason": "r" * 5_000,
        "outcome": "Failed",
        "finishedTime": "9999-12-31T23:59:59Z",
    }
    for number in range(1, 21)
]
FORGED: Mapping[str, Object] = {
    "future": {"phase": "Queued", "startTime": "9999-12-31T23:59:59Z"},
    "past": {"phase": "Running", "startTime": "1000-01-01T00:00:00Z", "attempt": 3},
    "many-attempts": {"phase": "BackingOff", "attempt": 20, "attempts": _RECORDS},
    "an-attempt-of-nothing": {"attempts": [{"number": 1, "podName": "", "podUID": ""}]},
    "attempts-end": {"phase": "BackingOff", "attempt": 2**31 - 1},
    "counts-end": {
        "phase": "Queued",
        "failed": 2**31 - 1,
        "disrupted": 2**31 - 1,
        "replaced": 2**31 - 1,
        "requeued": 2**31 - 1,
    },
    "succeeded": {"phase": "Succeeded"},
    "cancelled-later": {"phase": "Cancelled", "completionTime": "9999-12-31T23:59:59Z"},
    "stopping-nothing": {"phase": "Stopping", "reason": "Cancelled"},
    "an-unknown-condition": {
        "conditions": [
            {
                "type": "Magic",
                "status": "True",
                "reason": "Because",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
        ]
    },
}
"""Statuses that contradict themselves or the cluster, by the name of their TaskRun."""


def _bystander(name: str, **labels: str) -> Callable[[str], Object]:
    """Return a maker of a foreign Pod with our labels, which no scheduler places."""
    spec = {"schedulerName": "nobody", "containers": [{"name": "main", "image": IMAGE}]}

    def make(run_uid: str) -> Object:
        marked = {key: value.format(uid=run_uid) for key, value in labels.items()}
        return {"metadata": {"name": name, "labels": marked}, "spec": spec}

    return make


BYSTANDERS = (
    _bystander("labelled", **{names.LABEL_UID: "{uid}"}),
    _bystander("labelled-in-full", **{names.LABEL_UID: "{uid}", names.LABEL_ATTEMPT: "1",
                                      names.LABEL_NAME: "deep",
                                      names.LABEL_MANAGED_BY: names.MANAGER}),
    _bystander("of-no-run", **{names.LABEL_UID: "uid-of-nobody"}),
    _bystander("with-an-odd-attempt", **{names.LABEL_UID: "{uid}", names.LABEL_ATTEMPT: "9" * 63}),
    _bystander("unlabelled"),
)  # fmt: skip
"""Makers of Pods that belong to no run; each takes the uid of an existing run."""


def drawn_specs() -> list[Object]:
    """Return specs that fit the CRD's schema, and specs in which one field fits it."""
    anything = schemas.conforming(_SCHEMA["spec"])
    fields = _SCHEMA["spec"]["properties"]
    single = st.sampled_from(sorted(fields)).flatmap(
        lambda name: schemas.conforming(fields[name]).map(
            lambda value: {**shell("sleep 1"), name: value}
        )
    )
    return _drawn(anything | single | single)


def drawn_statuses() -> list[Object]:
    """Return statuses that fit the CRD's schema."""
    return _drawn(schemas.conforming(_SCHEMA["status"]))


def _drawn(strategy: st.SearchStrategy[Object]) -> list[Object]:
    examples: list[Object] = []

    @settings(_TRIED)
    @given(strategy)
    def collect(example: Object) -> None:
        examples.append(example)

    collect()
    return examples
