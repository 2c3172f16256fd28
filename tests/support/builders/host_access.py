"""Specs of TaskRuns that reach for the node, in every place where core/v1 has such a field.

The names of the rules are the chart's values below `admission.forbid`. Pod Security's level
baseline judges the same fields of a Pod.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

Spec = dict[str, Any]

IN_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/main"

_CONTEXTS: dict[str, list[Spec]] = {
    "privileged": [{"windowsOptions": {"hostProcess": True}}],
    "profiles": [
        {"seccompProfile": {"type": "Unconfined"}},
        {"appArmorProfile": {"type": "Unconfined"}},
        {"seLinuxOptions": {"type": "spc_t"}},
        {"seLinuxOptions": {"user": "root"}},
        {"seLinuxOptions": {"role": "sysadm_r"}},
    ],
}
"""Security contexts of Pods and of containers that each rule refuses."""

_OF_CONTAINERS: dict[str, list[Spec]] = {
    "privileged": [{"privileged": True}, {"procMount": "Unmasked"}],
    "capabilities": [
        {"capabilities": {"add": ["SYS_ADMIN"]}},
        {"capabilities": {"add": ["CHOWN", "ALL"]}},
        {"capabilities": {"add": ["CAP_CHOWN"]}},
        {"capabilities": {"add": ["chown"]}},
    ],
}
"""Security contexts of containers alone that each rule refuses."""

_HOST = {"port": 80, "host": "169.254.169.254"}
_CONTAINERS: dict[str, list[Spec]] = {
    "hostPorts": [{"ports": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 81}]}],
    "hostProbes": [
        *({probe: {"httpGet": _HOST}} for probe in ("livenessProbe", "readinessProbe")),
        *({probe: {"tcpSocket": _HOST}} for probe in ("livenessProbe", "startupProbe")),
        *({"lifecycle": {hook: {"httpGet": _HOST}}} for hook in ("postStart", "preStop")),
        {"lifecycle": {"preStop": {"tcpSocket": _HOST}}},
    ],
}
_PODS: dict[str, list[Spec]] = {
    "hostNamespaces": [{"hostNetwork": True}, {"hostPID": True}, {"hostIPC": True}],
    "hostPath": [
        {"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "hostPath": {"path": "/"}}]},
    ],
    "sysctls": [{"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}],
}


def in_container(place: str, fragment: Spec) -> Spec:
    """Return a spec whose template has the fragment in a container of that list."""
    main = {"name": "main", "image": "busybox:1"}
    other = {"name": "other", "image": "busybox:1", **fragment}
    if place == "containers":
        return of_pod({place: [main, other]})
    # Only a sidecar may have probes.
    restarted = {"restartPolicy": "Always"} if place == "initContainers" else {}
    return of_pod({"containers": [main], place: [other | restarted]})


def of_pod(fragment: Spec, annotations: Spec | None = None) -> Spec:
    """Return a spec whose template has the fragment in its Pod spec."""
    metadata = {"metadata": {"annotations": annotations}} if annotations else {}
    return {"image": "busybox:1", "template": {**metadata, "spec": fragment}}


def refused() -> Iterator[tuple[str, str, Spec]]:
    """Yield the rule, the place and the spec of everything that the rules forbid."""
    yield from _of_pods()
    yield "hostPath", "volumes", {"image": "busybox:1", **_PODS["hostPath"][0]}
    yield "profiles", "annotations", of_pod({}, {_APPARMOR: "unconfined"})
    for rule in (*_OF_CONTAINERS, *_CONTEXTS):
        for context in _OF_CONTAINERS.get(rule, []) + _CONTEXTS.get(rule, []):
            yield rule, "securityContext", {"image": "busybox:1", "securityContext": context}
            for place in IN_CONTAINERS:
                yield rule, place, in_container(place, {"securityContext": context})
    for rule, fragments in _CONTAINERS.items():
        for fragment, place in product(fragments, IN_CONTAINERS):
            yield rule, place, in_container(place, fragment)


def _of_pods() -> Iterator[tuple[str, str, Spec]]:
    for rule, fragments in _PODS.items():
        for fragment in fragments:
            yield rule, "template.spec", of_pod(fragment)
    for rule, contexts in _CONTEXTS.items():
        for context in contexts:
            yield rule, "template.spec", of_pod({"securityContext": context})


_ACCEPTED_CONTEXT: Spec = {
    "privileged": False,
    "procMount": None,
    "capabilities": {"add": ["CHOWN", "NET_BIND_SERVICE", "SYS_CHROOT"], "drop": ["ALL"]},
    "seccompProfile": {"type": "Localhost", "localhostProfile": "profiles/a.json"},
    "appArmorProfile": {"type": "RuntimeDefault"},
    "seLinuxOptions": {"type": "container_init_t", "level": "s0:c1,c2", "user": ""},
    "windowsOptions": None,
}
_ACCEPTED_CONTAINER: Spec = {
    "securityContext": _ACCEPTED_CONTEXT,
    "ports": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 0}],
}
_PROBED: Spec = {
    "livenessProbe": {"httpGet": {"port": 80, "host": ""}},
    "readinessProbe": {"exec": {"command": ["true"]}},
    "startupProbe": {"tcpSocket": {"port": 80}},
    "lifecycle": {"preStop": {"httpGet": {"port": 80}}, "postStart": None},
}
_SAFE_SYSCTLS = ("kernel.shm_rmid_forced", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range")

ACCEPTED: dict[str, Spec] = {
    "an image": {"image": "busybox:1"},
    "a container with usual settings": in_container("containers", _ACCEPTED_CONTAINER | _PROBED),
    "an init container with usual settings": in_container("initContainers", _ACCEPTED_CONTAINER),
    "a sidecar with probes": in_container("initContainers", _PROBED),
    "the short fields": {
        "image": "busybox:1",
        "securityContext": _ACCEPTED_CONTEXT,
        "volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "secret": {"secretName": "b"}}],
        "volumeMounts": [{"name": "a", "mountPath": "/a"}],
    },
    "a Pod with usual settings": of_pod(
        {
            "hostNetwork": False,
            "hostPID": None,
            "hostUsers": False,
            "securityContext": {
                "runAsNonRoot": True,
                "sysctls": [{"name": name, "value": "1"} for name in _SAFE_SYSCTLS],
                "seccompProfile": None,
            },
            "volumes": [{"name": "a", "emptyDir": {}, "hostPath": None}],
        },
        {"note": "kept", _APPARMOR: "runtime/default"},
    ),
    "absent parts written as null": of_pod(
        {
            "containers": [
                {
                    "name": "main",
                    **dict.fromkeys(("securityContext", "ports", "livenessProbe", "lifecycle")),
                }
            ],
            **dict.fromkeys(("initContainers", "volumes", "securityContext")),
        },
    ),
    "many containers": of_pod(
        {
            "containers": [
                {"name": f"c{n}", **_ACCEPTED_CONTAINER, "image": "busybox:1"} for n in range(60)
            ]
            + [{"name": "main"}]
        }
    ),
}
"""Specs that no rule forbids."""


def unreadable() -> Iterator[tuple[str, Spec]]:
    """Yield the place and the spec of values of another type than core/v1's, which hide a value."""
    hidden = {"name": "main", "securityContext": {"privileged": True}}
    for place in IN_CONTAINERS:
        for value in ("main", 3, {"main": hidden}, [[hidden]], ["main"], [hidden, None]):
            yield f"{place} is {type(value).__name__}", of_pod({place: value})
    for fragment in _WRONG_PODS:
        yield f"{next(iter(fragment))} of the Pod", of_pod(fragment)
    for context in _WRONG_CONTEXTS:
        key = next(iter(context))
        yield f"{key} in the short field", {"image": "busybox:1", "securityContext": context}
        for place in IN_CONTAINERS:
            yield f"{key} in {place}", in_container(place, {"securityContext": context})
    for fragment in _WRONG_CONTAINERS:
        yield f"{next(iter(fragment))} of a container", in_container("containers", fragment)
    yield "volumes, the short field", {"image": "busybox:1", "volumes": [{"hostPath": "/"}]}
    for annotations in (["x"], "x", {_APPARMOR: 3}, {_APPARMOR: ["unconfined"]}):
        metadata = {"metadata": {"annotations": annotations}}
        yield "annotations", {"image": "busybox:1", "template": metadata}


_WRONG_PODS: list[Spec] = [
    {"hostNetwork": "true"},
    {"hostPID": 1},
    {"hostIPC": [True]},
    {"volumes": {"hostPath": {"path": "/"}}},
    {"volumes": "hostPath"},
    {"volumes": [["hostPath"]]},
    {"volumes": [{"hostPath": "/"}]},
    {"securityContext": "privileged"},
    {"securityContext": [{"sysctls": []}]},
    {"securityContext": {"sysctls": {"name": "kernel.msgmax"}}},
    {"securityContext": {"sysctls": ["kernel.msgmax"]}},
    {"securityContext": {"sysctls": [{"value": "1"}]}},
    {"securityContext": {"sysctls": [{"name": ["kernel.msgmax"]}]}},
]
_WRONG_CONTEXTS: list[Spec] = [
    {"privileged": "true"},
    {"privileged": 1},
    {"procMount": ["Unmasked"]},
    {"windowsOptions": "hostProcess"},
    {"windowsOptions": {"hostProcess": "true"}},
    {"capabilities": "SYS_ADMIN"},
    {"capabilities": ["SYS_ADMIN"]},
    {"capabilities": {"add": "SYS_ADMIN"}},
    {"capabilities": {"add": {"CHOWN": "SYS_ADMIN"}}},
    {"capabilities": {"add": [["CHOWN"]]}},
    {"seccompProfile": "Unconfined"},
    {"seccompProfile": {}},
    {"appArmorProfile": {"type": ["RuntimeDefault"]}},
    {"seLinuxOptions": ["spc_t"]},
    {"seLinuxOptions": {"type": 3}},
]
_WRONG_CONTAINERS: list[Spec] = [
    {"securityContext": "privileged"},
    {"securityContext": [{"privileged": True}]},
    {"ports": {"hostPort": 80}},
    {"ports": ["80:80"]},
    {"ports": [{"containerPort": 80, "hostPort": "80"}]},
    {"livenessProbe": "x"},
    {"livenessProbe": {"httpGet": ["x"]}},
    {"livenessProbe": {"tcpSocket": {"host": ["x"]}}},
    {"lifecycle": ["preStop"]},
    {"lifecycle": {"preStop": {"httpGet": {"host": 1}}}},
]

ACCOUNTS_REFUSED: list[Spec] = [
    {"image": "busybox:1", "serviceAccountName": ""},
    *(of_pod({"serviceAccountName": name}) for name in ("", 3, ["etl"], {"etl": 1}, False)),
    of_pod({"serviceAccount": "etl"}),
    of_pod({"serviceAccount": ["etl"]}),
    {**of_pod({"serviceAccountName": ""}), "serviceAccountName": "etl"},
]
"""Specs whose service account cannot be read, or is only in the deprecated alias."""
