"""The container of an attempt: a Pod's manifest in the Docker Engine API's words. Pure.

Whatever Docker cannot do is refused before anything starts, with the field's name and what to use
instead; nothing is silently left out that could change what the work does.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from taskruns.api import names
from taskruns.core.quantities import read_quantity
from taskruns.core.wire import mapping, mappings, strings, text
from taskruns.engines.docker.expansion import expanded
from taskruns.engines.docker.security import security_options, user_of
from taskruns.engines.docker.unsupported import ELSEWHERE, Unsupported
from taskruns.engines.docker.volumes import mounts

_NANO = 10**9
_NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SHARES = 1024
"""CPU shares of one whole CPU, as the kubelet counts them."""

_POD_FIELDS = frozenset(
    """automountServiceAccountToken containers dnsConfig dnsPolicy enableServiceLinks hostAliases
    hostIPC hostNetwork hostPID hostname nodeName restartPolicy schedulingGates securityContext
    shareProcessNamespace terminationGracePeriodSeconds tolerations
    volumes""".split()  # noqa: SIM905 - so many names read best as words
)
_CONTAINER_FIELDS = frozenset(
    """args command env image imagePullPolicy name ports resources securityContext stdin
    terminationMessagePath terminationMessagePolicy tty volumeMounts
    workingDir""".split()  # noqa: SIM905 - so many names read best as words
)
_INSTEAD = {
    "initContainers": "do that work in the main container, or run it on a cluster",
    "serviceAccountName": "there is no Kubernetes API on a Docker host: run it on a cluster",
    "nodeSelector": "a Docker host is one node: leave it out, or run it on a cluster",
    "affinity": "a Docker host is one node: leave it out, or run it on a cluster",
    "priorityClassName": "nothing is scheduled on a Docker host: leave it out",
    "imagePullSecrets": "log in with `docker login`: its credentials are used",
    "envFrom": "give the variables with --env-file",
}

LABEL_POD_UID = f"{names.GROUP}/pod-uid"
LABEL_NAMESPACE = f"{names.GROUP}/namespace"
"""On a container: which attempt of which namespace it is."""
LABEL_CONTAINER = f"{names.GROUP}/container"
"""On a container: its name in the Pod."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a person hands over beside the TaskRun: values that only a cluster would know."""

    secrets: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Values of Secrets by name and key."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Further variables, under those of the TaskRun."""


NOTHING_GIVEN = Given()


def container_of(pod: Mapping[str, Any], given: Given = NOTHING_GIVEN) -> dict[str, Any]:
    """Return the body of the request that creates an attempt's container.

    Raises:
        Unsupported: the Pod asks for what Docker cannot do.
    """
    spec, metadata = mapping(pod.get("spec")), mapping(pod.get("metadata"))
    main = _only_container(spec)
    _refuse_unknown(spec, main)
    env = dict(_environment(main, given))
    command, args = (strings(main.get(part)) for part in ("command", "args"))
    return {
        "Image": text(main.get("image")),
        "Entrypoint": [expanded(word, env) for word in command] or None,
        "Cmd": [expanded(word, env) for word in args] or None,
        "WorkingDir": text(main.get("workingDir")),
        "Env": [f"{name}={value}" for name, value in env.items()],
        "Hostname": text(spec.get("hostname")) or text(metadata.get("name")),
        "Tty": main.get("tty") is True,
        "OpenStdin": main.get("stdin") is True,
        "StopTimeout": grace_of(pod),
        "Labels": {**identity(pod), LABEL_CONTAINER: text(main.get("name"))},
        "User": user_of(spec, main),
        "HostConfig": {**_host_config(spec, main), "NetworkMode": _network(spec, metadata)},
    }


def identity(pod: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels by which a container is known again, by whoever looks."""
    metadata = mapping(pod.get("metadata"))
    labels = {key: text(value) for key, value in mapping(metadata.get("labels")).items()}
    return {
        **labels,
        LABEL_POD_UID: text(metadata.get("uid")),
        LABEL_NAMESPACE: text(metadata.get("namespace")),
    }


def grace_of(pod: Mapping[str, Any]) -> int:
    """Return the seconds between SIGTERM and SIGKILL; Kubernetes' default is 30."""
    seconds = mapping(pod.get("spec")).get("terminationGracePeriodSeconds")
    return seconds if isinstance(seconds, int) else 30


def main_of(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the container of a Pod that was taken in."""
    return mappings(mapping(pod.get("spec")).get("containers"))[0]


def _only_container(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = mappings(spec.get("containers"))
    if len(containers) != 1:
        raise Unsupported(
            "template.spec.containers with more than the main container",
            "start what is needed in the main container, or run it on a cluster",
        )
    return containers[0]


def _refuse_unknown(spec: Mapping[str, Any], main: Mapping[str, Any]) -> None:
    for known, found, place in (
        (_POD_FIELDS, spec, "template.spec."),
        (_CONTAINER_FIELDS, main, ""),
    ):
        for name, value in found.items():
            if name not in known and value not in (None, [], {}, ""):
                raise Unsupported(f"{place}{name}", _INSTEAD.get(name, ELSEWHERE))


def _environment(main: Mapping[str, Any], given: Given) -> Iterator[tuple[str, str]]:
    """Yield the variables in their order; each may use those before it, as in Kubernetes."""
    known = dict(given.env)
    yield from known.items()
    for item in mappings(main.get("env")):
        name = text(item.get("name"))
        known[name] = _value(name, item, known, given)
        yield name, known[name]


def _value(name: str, item: Mapping[str, Any], known: Mapping[str, str], given: Given) -> str:
    source = mapping(item.get("valueFrom"))
    if not source:
        return expanded(text(item.get("value")), known)
    wanted = mapping(source.get("secretKeyRef"))
    key = text(wanted.get("name")), text(wanted.get("key"))
    if key in given.secrets:
        return given.secrets[key]
    if wanted:
        raise Unsupported(
            f"env {name}: secretKeyRef {key[0]}/{key[1]} without a value",
            f"give it with --secret {key[0]}/{key[1]}=VALUE",
        )
    raise Unsupported(f"env {name}: valueFrom.{next(iter(source))}", "give it with --env-file")


def _host_config(spec: Mapping[str, Any], main: Mapping[str, Any]) -> dict[str, Any]:
    context = mapping(main.get("securityContext"))
    return {
        **_limits(mapping(main.get("resources"))),
        "Mounts": mounts(spec, main),
        "SecurityOpt": security_options(spec, main),
        "Privileged": context.get("privileged") is True,
        "ReadonlyRootfs": context.get("readOnlyRootFilesystem") is True,
        "CapAdd": list(strings(mapping(context.get("capabilities")).get("add"))),
        "CapDrop": list(strings(mapping(context.get("capabilities")).get("drop"))),
        "Init": spec.get("shareProcessNamespace") is True,
        "PidMode": "host" if spec.get("hostPID") is True else "",
        "IpcMode": "host" if spec.get("hostIPC") is True else "private",
        "ExtraHosts": [
            f"{name}:{text(alias.get('ip'))}"
            for alias in mappings(spec.get("hostAliases"))
            for name in strings(alias.get("hostnames"))
        ],
        "Dns": list(strings(mapping(spec.get("dnsConfig")).get("nameservers"))),
        "DnsSearch": list(strings(mapping(spec.get("dnsConfig")).get("searches"))),
        "RestartPolicy": {"Name": "no"},
    }


def _network(spec: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    network = text(mapping(metadata.get("annotations")).get(names.ANNOTATION_DOCKER_NETWORK))
    if network and not _NETWORK.fullmatch(network):
        raise Unsupported(
            f"annotation {names.ANNOTATION_DOCKER_NETWORK} {network!r}",
            "write the name of a network, or none",
        )
    return "host" if spec.get("hostNetwork") is True else network or "default"


def _limits(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Return limits and, where there is one, the reservation; what Docker has no word for fails."""
    limits, requests = (mapping(resources.get(part)) for part in ("limits", "requests"))
    for name in limits:
        if name not in _LIMITS:
            raise Unsupported(f"resources.limits.{name}")
    found = {
        key: write(_amount(name, limits[name]))
        for name, (key, write) in _LIMITS.items()
        if name in limits
    }
    if "memory" in limits:
        found["MemorySwap"] = found["Memory"]  # no swap beyond the limit, as in a Pod
    if "cpu" in requests:
        found["CpuShares"] = max(int(_amount("cpu", requests["cpu"]) * _SHARES), 2)
    if "memory" in requests:
        found["MemoryReservation"] = int(_amount("memory", requests["memory"]))
    return found


_LIMITS: Mapping[str, tuple[str, Callable[[Any], int]]] = {
    "cpu": ("NanoCpus", lambda amount: int(amount * _NANO)),
    "memory": ("Memory", int),
}


def _amount(name: str, value: object) -> Any:
    amount = read_quantity(str(value))
    if amount is None:
        raise Unsupported(
            f"resources: {name} {value!r}", "write a quantity such as 500m, 2, 512Mi or 1Gi"
        )
    return amount
