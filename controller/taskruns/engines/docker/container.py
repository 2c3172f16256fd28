"""Conversion of a Pod manifest into a create request of the Docker Engine API. Pure."""

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
    """Expand known variables `$(NAME)`; leave unknown ones unchanged and turn `$$` into `$`."""

    def fill_in(match: re.Match[str]) -> str:
        name = match["name"]
        return "$" if name is None else env.get(name, match[0])

    return _REFERENCE.sub(fill_in, word)


def user_of(spec: Mapping[str, Any], main: Mapping[str, Any]) -> str:
    """Return Docker's User, as `user` or `user:group`; empty means the image's user.

    Raises:
        Unsupported: `runAsNonRoot` without a user other than 0, or a group without a user.
    """
    context = _context(spec, main)
    user, group = context.get("runAsUser"), context.get("runAsGroup")
    if context.get("runAsNonRoot") is True and not user:
        raise Unsupported(
            "securityContext.runAsNonRoot without runAsUser",
            "set runAsUser to a user other than 0",
        )
    if user is None and group is not None:
        raise Unsupported("securityContext.runAsGroup without runAsUser", "set runAsUser, too")
    return ":".join(str(part) for part in (user, group) if part is not None)


def security_options(spec: Mapping[str, Any], main: Mapping[str, Any]) -> list[str]:
    """Return Docker's SecurityOpt; profiles that are not set stay at Docker's default."""
    context = _context(spec, main)
    profiles = {"seccomp": "seccompProfile", "apparmor": "appArmorProfile"}
    unconfined = [
        f"{option}=unconfined"
        for option, name in profiles.items()
        if text(mapping(context.get(name)).get("type")) == "Unconfined"
    ]
    no_new_privileges = context.get("allowPrivilegeEscalation") is False
    return [*(["no-new-privileges"] if no_new_privileges else []), *unconfined]


def _context(spec: Mapping[str, Any], main: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the securityContext of the container merged over that of the Pod."""
    return {**mapping(spec.get("securityContext")), **mapping(main.get("securityContext"))}


_NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

LABEL_POD_UID = f"{names.GROUP}/pod-uid"
LABEL_NAMESPACE = f"{names.GROUP}/namespace"
"""Labels of a container with the uid and the namespace of its Pod."""
LABEL_CONTAINER = f"{names.GROUP}/container"
"""Label of a container with its name in the Pod."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Values that the user supplies apart from the TaskRun, because there is no cluster."""

    secrets: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Values of Secrets, by name and key."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Additional environment variables; those of the TaskRun override them."""


NO_SECRETS = Secrets()


def container_of(pod: Mapping[str, Any], secrets: Secrets = NO_SECRETS) -> dict[str, Any]:
    """Return the body of the request that creates an attempt's container.

    Raises:
        Unsupported: The Pod uses a feature that Docker does not have.
    """
    spec, metadata = mapping(pod.get("spec")), mapping(pod.get("metadata"))
    main = _only_container(spec)
    check_fields(pod)
    env = dict(_environment(main, secrets))
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
    """Return the labels that identify the container of a Pod."""
    metadata = mapping(pod.get("metadata"))
    labels = {key: text(value) for key, value in mapping(metadata.get("labels")).items()}
    return {
        **labels,
        LABEL_POD_UID: text(metadata.get("uid")),
        LABEL_NAMESPACE: text(metadata.get("namespace")),
    }


def grace_of(pod: Mapping[str, Any]) -> int:
    """Return the grace period in seconds; 30 by default, as in Kubernetes."""
    seconds = mapping(pod.get("spec")).get("terminationGracePeriodSeconds")
    return seconds if isinstance(seconds, int) else 30


def main_container(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the main container of a Pod that was accepted."""
    return mappings(mapping(pod.get("spec")).get("containers"))[0]


def _only_container(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = mappings(spec.get("containers"))
    if len(containers) != 1:
        raise Unsupported(
            "template.spec.containers with more than the main container",
            "start the other programs in the main container, or run it on a cluster",
        )
    return containers[0]


def _entrypoint(command: list[str]) -> list[str] | None:
    """Return Docker's Entrypoint; None means that of the image.

    A command of one empty string clears the image's entrypoint, as `docker run --entrypoint ""`
    does. An empty list keeps it, as core/v1 specifies.
    """
    return [] if command == [""] else command or None


def _stop_signal(main: Mapping[str, Any]) -> dict[str, str]:
    signal = text(mapping(main.get("lifecycle")).get("stopSignal"))
    return {"StopSignal": signal} if signal else {}


def _environment(main: Mapping[str, Any], secrets: Secrets) -> Iterator[tuple[str, str]]:
    """Yield the variables in order; each may refer to earlier ones, as in Kubernetes."""
    known = dict(secrets.env)
    yield from known.items()
    for item in mappings(main.get("env")):
        name = text(item.get("name"))
        value = _value(name, item, known, secrets)
        if value is not None:
            known[name] = value
            yield name, value


def _value(
    name: str, item: Mapping[str, Any], known: Mapping[str, str], secrets: Secrets
) -> str | None:
    """Return the value of a variable, or None if it is optional and has no value."""
    reference = mapping(mapping(item.get("valueFrom")).get("secretKeyRef"))
    if not reference:
        return expanded(text(item.get("value")), known)
    if item.get("value"):
        raise Unsupported(f"env {name}: both value and valueFrom", "write one of them")
    key = text(reference.get("name")), text(reference.get("key"))
    if key in secrets.secrets:
        return secrets.secrets[key]
    if reference.get("optional") is True:
        return None
    raise Unsupported(
        f"env {name}: secretKeyRef {key[0]}/{key[1]} without a value",
        f"set it with --secret {key[0]}/{key[1]}=VALUE",
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
            text(sysctl.get("name")): text(sysctl.get("value"))
            for sysctl in mappings(pod_context.get("sysctls"))
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
    """Return Docker's DNS settings; those that the Pod leaves out are taken from the host.

    Raises:
        Unsupported: `dnsPolicy` is None and no nameserver is set.
    """
    config = mapping(spec.get("dnsConfig"))
    servers, searches = (list(strings(config.get(part))) for part in ("nameservers", "searches"))
    options = [
        ":".join(text(option.get(part)) for part in ("name", "value") if option.get(part))
        for option in mappings(config.get("options"))
    ]
    if spec.get("dnsPolicy") == "None":
        if not servers:
            raise Unsupported("dnsPolicy None without dnsConfig.nameservers", "add a nameserver")
        searches, options = searches or _NO_SEARCH, options or _NO_OPTION
    return {"Dns": servers, "DnsSearch": searches, "DnsOptions": options}


_NO_SEARCH, _NO_OPTION = ["."], ["ndots:1"]
"""Values that prevent Docker from copying the host's settings.

`.` is Docker's notation for no search domain, `ndots:1` is the resolver's default.
"""


def _limits(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Return Docker's limits, and the weights of requests; swap is never added to the limit."""
    limits, requests = (mapping(resources.get(part)) for part in ("limits", "requests"))
    host_config: dict[str, Any] = {}
    if "cpu" in limits:
        host_config["NanoCpus"] = nano_cpus(limits["cpu"])
    if "memory" in limits:
        host_config["Memory"] = host_config["MemorySwap"] = size_in_bytes(limits["memory"])
    if "cpu" in requests:
        host_config["CpuShares"] = cpu_shares(requests["cpu"])
    if "memory" in requests:
        host_config["MemoryReservation"] = size_in_bytes(requests["memory"])
    return host_config
