"""The container of an attempt: a Pod manifest as a request of the Docker Engine API. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from taskruns.api import names
from taskruns.core.unstructured import mapping, mappings, strings, text
from taskruns.engines.docker.fields import (
    Unsupported,
    check_fields,
    cpu_shares,
    nano_cpus,
    size_in_bytes,
)
from taskruns.engines.docker.volumes import binds, mounts

_REFERENCE = re.compile(r"\$(\$|\((?P<name>[^()$]*)\))")


def expanded(word: str, env: Mapping[str, str]) -> str:
    """Fill in the variables that are known; others stay as they are, and `$$` is one `$`."""

    def fill_in(found: re.Match[str]) -> str:
        name = found["name"]
        return "$" if name is None else env.get(name, found[0])

    return _REFERENCE.sub(fill_in, word)


def user_of(spec: Mapping[str, Any], main: Mapping[str, Any]) -> str:
    """Return the user, and group, to run as; empty: the image's.

    Raises:
        Unsupported: a setting that Docker does not have, or a group without its user.
    """
    context = _context(spec, main)
    user, group = context.get("runAsUser"), context.get("runAsGroup")
    if context.get("runAsNonRoot") is True and not user:
        raise Unsupported(
            "securityContext.runAsNonRoot without runAsUser",
            "say which user with runAsUser, other than 0",
        )
    if user is None and group is not None:
        raise Unsupported("securityContext.runAsGroup without runAsUser", "say the user, too")
    return ":".join(str(part) for part in (user, group) if part is not None)


def security_options(spec: Mapping[str, Any], main: Mapping[str, Any]) -> list[str]:
    """Return Docker's SecurityOpt: its default profiles where none is named."""
    context = _context(spec, main)
    profiles = {"seccomp": "seccompProfile", "apparmor": "appArmorProfile"}
    unconfined = [
        f"{option}=unconfined"
        for option, name in profiles.items()
        if text(mapping(context.get(name)).get("type")) == "Unconfined"
    ]
    no_more = context.get("allowPrivilegeEscalation") is False
    return [*(["no-new-privileges"] if no_more else []), *unconfined]


def _context(spec: Mapping[str, Any], main: Mapping[str, Any]) -> Mapping[str, Any]:
    """Lay the container's settings over the Pod's."""
    return {**mapping(spec.get("securityContext")), **mapping(main.get("securityContext"))}


_NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

LABEL_POD_UID = f"{names.GROUP}/pod-uid"
LABEL_NAMESPACE = f"{names.GROUP}/namespace"
"""On a container: which attempt of which namespace it is."""
LABEL_CONTAINER = f"{names.GROUP}/container"
"""On a container: its name in the Pod."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a person hands over beside the TaskRun: values that only a cluster would know."""

    secrets: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Values of Secrets by name and key."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Further variables, under those of the TaskRun."""


NO_SECRETS = Secrets()


def container_of(pod: Mapping[str, Any], given: Secrets = NO_SECRETS) -> dict[str, Any]:
    """Return the body of the request that creates an attempt's container.

    Raises:
        Unsupported: the Pod asks for what Docker cannot do.
    """
    spec, metadata = mapping(pod.get("spec")), mapping(pod.get("metadata"))
    main = _only_container(spec)
    check_fields(pod)
    env = dict(_environment(main, given))
    command, args = (strings(main.get(part)) for part in ("command", "args"))
    return {
        "Image": text(main.get("image")),
        "Entrypoint": _entrypoint([expanded(word, env) for word in command]),
        "Cmd": [expanded(word, env) for word in args] or None,
        "WorkingDir": text(main.get("workingDir")),
        "Env": [f"{name}={value}" for name, value in env.items()],
        "Hostname": text(spec.get("hostname")) or text(metadata.get("name")),
        "Tty": main.get("tty") is True,
        "OpenStdin": main.get("stdin") is True,
        **_stop_signal(main),
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


def _entrypoint(command: list[str]) -> list[str] | None:
    """Return the words to run before the arguments; None for the image's own.

    A command of one empty word clears the image's entrypoint, as `docker run --entrypoint ""`
    does; an empty list leaves it, as core/v1 says.
    """
    return [] if command == [""] else command or None


def _stop_signal(main: Mapping[str, Any]) -> dict[str, str]:
    signal = text(mapping(main.get("lifecycle")).get("stopSignal"))
    return {"StopSignal": signal} if signal else {}


def _environment(main: Mapping[str, Any], given: Secrets) -> Iterator[tuple[str, str]]:
    """Yield the variables in their order; each may use those before it, as in Kubernetes."""
    known = dict(given.env)
    yield from known.items()
    for item in mappings(main.get("env")):
        name = text(item.get("name"))
        value = _value(name, item, known, given)
        if value is not None:
            known[name] = value
            yield name, value


def _value(
    name: str, item: Mapping[str, Any], known: Mapping[str, str], given: Secrets
) -> str | None:
    """Return the value of a variable; None where it is optional and has none."""
    wanted = mapping(mapping(item.get("valueFrom")).get("secretKeyRef"))
    if not wanted:
        return expanded(text(item.get("value")), known)
    if item.get("value"):
        raise Unsupported(f"env {name}: both value and valueFrom", "write one of them")
    key = text(wanted.get("name")), text(wanted.get("key"))
    if key in given.secrets:
        return given.secrets[key]
    if wanted.get("optional") is True:
        return None
    raise Unsupported(
        f"env {name}: secretKeyRef {key[0]}/{key[1]} without a value",
        f"give it with --secret {key[0]}/{key[1]}=VALUE",
    )


def _host_config(spec: Mapping[str, Any], main: Mapping[str, Any]) -> dict[str, Any]:
    context, pod_context = (mapping(part.get("securityContext")) for part in (main, spec))
    return {
        **_limits(mapping(main.get("resources"))),
        "Mounts": mounts(spec, main),
        "Binds": binds(spec, main),
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
        **_dns(spec),
        "GroupAdd": [str(group) for group in pod_context.get("supplementalGroups") or ()],
        "Sysctls": {
            text(each.get("name")): text(each.get("value"))
            for each in mappings(pod_context.get("sysctls"))
        },
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


def _dns(spec: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return how names are resolved: as on the host, but for what the Pod says.

    Raises:
        Unsupported: nothing of the host is wanted, and no nameserver is named.
    """
    config = mapping(spec.get("dnsConfig"))
    servers, searches = (list(strings(config.get(part))) for part in ("nameservers", "searches"))
    options = [
        ":".join(text(option.get(part)) for part in ("name", "value") if option.get(part))
        for option in mappings(config.get("options"))
    ]
    if spec.get("dnsPolicy") == "None":
        if not servers:
            raise Unsupported("dnsPolicy None without dnsConfig.nameservers", "name a nameserver")
        searches, options = searches or _NO_SEARCH, options or _NO_OPTION
    return {"Dns": servers, "DnsSearch": searches, "DnsOptions": options}


_NO_SEARCH, _NO_OPTION = ["."], ["ndots:1"]
"""What keeps Docker from copying the host's: its own sign for none, and the resolver's default."""


def _limits(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Return the limits and the weights of requests; there is no swap beyond the limit."""
    limits, requests = (mapping(resources.get(part)) for part in ("limits", "requests"))
    found: dict[str, Any] = {}
    if "cpu" in limits:
        found["NanoCpus"] = nano_cpus(limits["cpu"])
    if "memory" in limits:
        found["Memory"] = found["MemorySwap"] = size_in_bytes(limits["memory"])
    if "cpu" in requests:
        found["CpuShares"] = cpu_shares(requests["cpu"])
    if "memory" in requests:
        found["MemoryReservation"] = size_in_bytes(requests["memory"])
    return found
