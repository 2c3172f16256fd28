"""PodSpec fields that Docker honours, ignores or refuses, and conversion of quantities. Pure."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from taskruns.api import names
from taskruns.core.unstructured import mapping, read_quantity, text

ELSEWHERE = "Docker has no equivalent: leave it out, or run it on a cluster"


class Unsupported(Exception):
    """A field that Docker does not support; the message names it and the alternative."""

    def __init__(self, where: str, instead: str = ELSEWHERE) -> None:
        super().__init__(f"{where} is not supported on Docker: {instead}")


_LARGEST = 2**63 - 1
_NANO = 10**9
_SHARES = 1024
"""CPU shares of one whole CPU, as in the kubelet."""
_FRACTIONS = ("n", "u", "m")
_LEAST_OF_FRACTIONS = 2**20
"""Smallest plausible size, in bytes, of a quantity with a fractional suffix (`n`, `u`, `m`).

A smaller size, such as `512m`, is a mistake.
"""


def is_amount(value: object) -> bool:
    """Return whether a value is a quantity within Docker's range."""
    amount = _read(value)
    return amount is not None and amount * _NANO <= _LARGEST


def is_size(value: object) -> bool:
    """Return whether a value is a size in bytes; `512m` is not, because it is half a byte."""
    size = _read(value)
    if size is None:
        return False
    return not str(value).endswith(_FRACTIONS) or size == 0 or size >= _LEAST_OF_FRACTIONS


def nano_cpus(value: object) -> int:
    """Return a quantity of CPUs in billionths of a CPU (Docker's NanoCpus)."""
    return math.ceil((_read(value) or 0) * _NANO)


def cpu_shares(value: object) -> int:
    """Return a CPU request as Docker's CpuShares, at least 2."""
    return max(int((_read(value) or 0) * _SHARES), 2)


def size_in_bytes(value: object) -> int:
    """Return a size in bytes, rounded up as Kubernetes does."""
    return math.ceil(_read(value) or 0)


def _read(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    amount = read_quantity(str(value))
    if amount is None or not 0 <= amount <= _LARGEST:
        return None
    return amount


_FROM_ENV_FILE = "set the variable with --env-file"
_HOST_FOLDER = "mount a folder of the host with hostPath, or run it on a cluster"
_IN_MAIN = "do that work in the main container, or run it on a cluster"
_NO_API = "there is no Kubernetes API on a Docker host: run it on a cluster"
_ONE_NODE = "a Docker host is one node: leave it out, or run it on a cluster"
_UNSCHEDULED = "nothing is scheduled on a Docker host: leave it out"
_UNWATCHED = "Docker does not probe containers: leave it out, or run it on a cluster"
_PUBLISH = (
    "no port is published: set hostNetwork, or join the network of the caller with the annotation "
    + names.ANNOTATION_DOCKER_NETWORK
)


@dataclass(frozen=True, slots=True)
class Kind:
    """Kind of the values that a field accepts."""

    words: str
    """Advice for the error message: the values to write."""
    accepts: Callable[[Any], bool]
    shown: bool = False
    """Whether a message may quote a value; confidential values must not be quoted."""


@dataclass(frozen=True, slots=True)
class Honoured:
    """Field that takes effect on Docker."""

    kind: Kind
    effect: str
    """Field of the create request that it sets, or the behaviour that it causes."""


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _list_of(accepts: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and all(map(accepts, value))


def _one_of(*values: str) -> Kind:
    words = " or ".join(values)
    return Kind(f"write {words}, or leave it out", lambda value: value in values, shown=True)


_TEXT = Kind("write a string, in quotes", _is_text)
_TEXTS = Kind("write a list of strings, each in quotes", _list_of(_is_text))
_WHOLE = Kind("write a whole number, 0 or more", _is_whole, shown=True)
_WHOLES = Kind("write a list of whole numbers, 0 or more", _list_of(_is_whole), shown=True)
_FLAG = Kind("write true or false", lambda value: isinstance(value, bool), shown=True)
_TRUE = Kind("write true, or leave it out", lambda value: value is True, shown=True)
_FALSE = Kind("write false, or leave it out", lambda value: value is False, shown=True)
_AMOUNT = Kind("write a quantity such as 500m or 2", is_amount, shown=True)
_SIZE = Kind(
    "write a quantity in bytes such as 512Mi or 2Gi (m is a thousandth, not a megabyte)",
    is_size,
    shown=True,
)

_SECURITY = {
    "runAsUser": Honoured(_WHOLE, "User"),
    "runAsGroup": Honoured(_WHOLE, "User"),
    "runAsNonRoot": Honoured(_FLAG, "needs a `runAsUser` other than 0"),
    "seccompProfile.type": Honoured(
        _one_of("RuntimeDefault", "Unconfined"), "HostConfig.SecurityOpt"
    ),
    "appArmorProfile.type": Honoured(
        _one_of("RuntimeDefault", "Unconfined"), "HostConfig.SecurityOpt"
    ),
}
"""Fields that exist in the securityContext of both a Pod and a container."""

_POD_HONOURED = {
    "dnsConfig.nameservers": Honoured(_TEXTS, "HostConfig.Dns, instead of the host's"),
    "dnsConfig.searches": Honoured(_TEXTS, "HostConfig.DnsSearch, instead of the host's"),
    "dnsConfig.options[].name": Honoured(_TEXT, "HostConfig.DnsOptions"),
    "dnsConfig.options[].value": Honoured(_TEXT, "HostConfig.DnsOptions"),
    "dnsPolicy": Honoured(
        _one_of("Default", "ClusterFirst", "ClusterFirstWithHostNet", "None"),
        "None: nothing of the host's resolv.conf; the others: the host's",
    ),
    "hostAliases[].ip": Honoured(_TEXT, "HostConfig.ExtraHosts"),
    "hostAliases[].hostnames": Honoured(_TEXTS, "HostConfig.ExtraHosts"),
    "hostIPC": Honoured(_FLAG, "HostConfig.IpcMode"),
    "hostNetwork": Honoured(_FLAG, "HostConfig.NetworkMode"),
    "hostPID": Honoured(_FLAG, "HostConfig.PidMode"),
    "hostname": Honoured(_TEXT, "Hostname"),
    "schedulingGates[].name": Honoured(
        _one_of(names.GATE_CLAIM), "the container starts when the gate is released"
    ),
    "securityContext.supplementalGroups": Honoured(_WHOLES, "HostConfig.GroupAdd"),
    "securityContext.sysctls[].name": Honoured(_TEXT, "HostConfig.Sysctls"),
    "securityContext.sysctls[].value": Honoured(_TEXT, "HostConfig.Sysctls"),
    "shareProcessNamespace": Honoured(_FLAG, "HostConfig.Init"),
    "terminationGracePeriodSeconds": Honoured(_WHOLE, "StopTimeout"),
    "volumes[].name": Honoured(_TEXT, "the volume that a mount names"),
    "volumes[].emptyDir.medium": Honoured(_one_of("Memory"), "HostConfig.Mounts"),
    "volumes[].emptyDir.sizeLimit": Honoured(
        _SIZE, "HostConfig.Mounts with medium Memory; on disk it is not enforced"
    ),
    "volumes[].hostPath.path": Honoured(_TEXT, "HostConfig.Mounts"),
    "volumes[].hostPath.type": Honoured(
        _one_of(
            "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice",
            "BlockDevice",
        ),
        "checked, or created, on the daemon's machine before the start",
    ),
    "volumes[].persistentVolumeClaim.claimName": Honoured(_TEXT, "HostConfig.Mounts"),
    "volumes[].persistentVolumeClaim.readOnly": Honoured(_FLAG, "HostConfig.Mounts"),
    **{f"securityContext.{name}": field for name, field in _SECURITY.items()},
}  # fmt: skip

_CONTAINER_HONOURED = {
    "args": Honoured(_TEXTS, "Cmd"),
    "command": Honoured(_TEXTS, "Entrypoint"),
    "env[].name": Honoured(_TEXT, "Env"),
    "env[].value": Honoured(_TEXT, "Env"),
    "env[].valueFrom.secretKeyRef.name": Honoured(
        _TEXT, "Env, with the value from --secret or the Airflow connection"
    ),
    "env[].valueFrom.secretKeyRef.key": Honoured(
        _TEXT, "Env, with the value from --secret or the Airflow connection"
    ),
    "env[].valueFrom.secretKeyRef.optional": Honoured(
        _FLAG, "true: without a value, the variable is left out"
    ),
    "image": Honoured(_TEXT, "Image"),
    "imagePullPolicy": Honoured(
        _one_of("Always", "IfNotPresent", "Never"), "when the image is pulled"
    ),
    "lifecycle.stopSignal": Honoured(_TEXT, "StopSignal"),
    "name": Honoured(_TEXT, "Labels"),
    "resources.limits.cpu": Honoured(_AMOUNT, "HostConfig.NanoCpus"),
    "resources.limits.memory": Honoured(_SIZE, "HostConfig.Memory and MemorySwap: no swap beyond"),
    "resources.requests.cpu": Honoured(_AMOUNT, "HostConfig.CpuShares"),
    "resources.requests.memory": Honoured(_SIZE, "HostConfig.MemoryReservation"),
    "securityContext.allowPrivilegeEscalation": Honoured(_FLAG, "HostConfig.SecurityOpt"),
    "securityContext.capabilities.add": Honoured(_TEXTS, "HostConfig.CapAdd"),
    "securityContext.capabilities.drop": Honoured(_TEXTS, "HostConfig.CapDrop"),
    "securityContext.privileged": Honoured(_FLAG, "HostConfig.Privileged"),
    "securityContext.readOnlyRootFilesystem": Honoured(_FLAG, "HostConfig.ReadonlyRootfs"),
    "stdin": Honoured(_FLAG, "OpenStdin"),
    "terminationMessagePath": Honoured(_TEXT, "the file that is read when main has ended"),
    "terminationMessagePolicy": Honoured(
        _one_of("File", "FallbackToLogsOnError"),
        "whether the end of the log is used after a failure",
    ),
    "tty": Honoured(_FLAG, "Tty"),
    "volumeMounts[].mountPath": Honoured(_TEXT, "HostConfig.Mounts"),
    "volumeMounts[].mountPropagation": Honoured(
        _one_of("None", "HostToContainer", "Bidirectional"),
        "HostConfig.Mounts; other than None for hostPath alone",
    ),
    "volumeMounts[].name": Honoured(_TEXT, "HostConfig.Mounts"),
    "volumeMounts[].readOnly": Honoured(_FLAG, "HostConfig.Mounts"),
    "workingDir": Honoured(_TEXT, "WorkingDir"),
    **{f"securityContext.{name}": field for name, field in _SECURITY.items()},
}

HONOURED: Mapping[str, Honoured] = {
    **_POD_HONOURED,
    **{f"containers[].{name}": field for name, field in _CONTAINER_HONOURED.items()},
}
"""Fields that take effect on Docker, by path in a PodSpec; `[]` is any item of a list."""

HARMLESS: Mapping[str, Honoured] = {
    "automountServiceAccountToken": Honoured(_FALSE, "there is no token to mount"),
    "hostUsers": Honoured(_TRUE, "the user namespace is the daemon's setting"),
    "os.name": Honoured(_one_of("linux"), "containers are Linux containers"),
    "restartPolicy": Honoured(_one_of("Never"), "an attempt is one container"),
    "schedulerName": Honoured(_one_of("default-scheduler"), "nothing is scheduled"),
    "securityContext.supplementalGroupsPolicy": Honoured(
        _one_of("Merge"), "groups of the image are kept"
    ),
    "setHostnameAsFQDN": Honoured(_FALSE, "the host name is that of `hostname`"),
    "containers[].securityContext.procMount": Honoured(
        _one_of("Default"), "Docker masks the same paths of /proc"
    ),
    "containers[].volumeMounts[].recursiveReadOnly": Honoured(
        _one_of("Disabled", "IfPossible"),
        "mounts below a read-only mount are read-only if the daemon supports it",
    ),
    "containers[].restartPolicy": Honoured(_one_of("Never"), "backoffLimit repeats attempts"),
    "containers[].stdinOnce": Honoured(
        _FALSE, "standard input is not closed after the first client"
    ),
}
"""Fields that are accepted only with the value that a Docker host has in any case."""

IGNORED: Mapping[str, str] = {
    "enableServiceLinks": "A Docker host has no Services whose variables could be added.",
    "nodeName": "taskruns itself writes it; a template that sets it is refused.",
    "tolerations": "A Docker host has no taints.",
    "containers[].ports[].containerPort": "It only documents the port; a container may listen.",
    "containers[].ports[].name": "It names the port for Services; a Docker host has none.",
    "containers[].ports[].protocol": "It only documents the port.",
    "containers[].resources.requests.ephemeral-storage": "It only chooses a node.",
}
"""Fields that have no effect on Docker, with the reason; a path includes all paths below it."""

REFUSED: Mapping[str, str] = {
    "activeDeadlineSeconds": "set activeDeadlineSeconds or attemptDeadlineSeconds of the TaskRun",
    "affinity": _ONE_NODE,
    "ephemeralContainers": _IN_MAIN,
    "evictionResponders": ELSEWHERE,
    "hostnameOverride": "set hostname",
    "imagePullSecrets": "log in with `docker login`: its credentials are used",
    "initContainers": _IN_MAIN,
    "nodeSelector": _ONE_NODE,
    "overhead": _UNSCHEDULED,
    "preemptionPolicy": _UNSCHEDULED,
    "priority": _UNSCHEDULED,
    "priorityClassName": _UNSCHEDULED,
    "readinessGates": ELSEWHERE,
    "resourceClaims": ELSEWHERE,
    "resources": "set the resources of the main container",
    "runtimeClassName": "set default-runtime of the Docker daemon, or run it on a cluster",
    "schedulingGroup": _UNSCHEDULED,
    "securityContext.appArmorProfile.localhostProfile": ELSEWHERE,
    "securityContext.fsGroup": ELSEWHERE,
    "securityContext.fsGroupChangePolicy": ELSEWHERE,
    "securityContext.seLinuxChangePolicy": ELSEWHERE,
    "securityContext.seLinuxOptions": ELSEWHERE,
    "securityContext.seccompProfile.localhostProfile": "write type RuntimeDefault or Unconfined, "
    "or run it on a cluster",
    "securityContext.windowsOptions": ELSEWHERE,
    "serviceAccount": _NO_API,
    "serviceAccountName": _NO_API,
    "subdomain": ELSEWHERE,
    "topologySpreadConstraints": _ONE_NODE,
    **{
        f"volumes[].{kind}": _HOST_FOLDER
        for kind in [
            "awsElasticBlockStore",
            "azureDisk",
            "azureFile",
            "cephfs",
            "cinder",
            "configMap",
            "csi",
            "downwardAPI",
            "ephemeral",
            "fc",
            "flexVolume",
            "flocker",
            "gcePersistentDisk",
            "gitRepo",
            "glusterfs",
            "image",
            "iscsi",
            "nfs",
            "photonPersistentDisk",
            "portworxVolume",
            "projected",
            "quobyte",
            "rbd",
            "scaleIO",
            "secret",
            "storageos",
            "vsphereVolume",
        ]
    },
    "volumes[].emptyDir.mode": "set the mode in the main container",
    "containers[].env[].valueFrom.configMapKeyRef": _FROM_ENV_FILE,
    "containers[].env[].valueFrom.fieldRef": _FROM_ENV_FILE,
    "containers[].env[].valueFrom.fileKeyRef": _FROM_ENV_FILE,
    "containers[].env[].valueFrom.resourceFieldRef": _FROM_ENV_FILE,
    "containers[].envFrom": "set the variables with --env-file",
    "containers[].lifecycle.postStart": _IN_MAIN,
    "containers[].lifecycle.preStop": "handle SIGTERM in the program, or run it on a cluster",
    "containers[].livenessProbe": _UNWATCHED,
    "containers[].ports[].hostIP": _PUBLISH,
    "containers[].ports[].hostPort": _PUBLISH,
    "containers[].readinessProbe": _UNWATCHED,
    "containers[].resizePolicy": "leave it out: a container is not resized",
    "containers[].resources.claims": ELSEWHERE,
    "containers[].restartPolicyRules": "use backoffLimit for retries",
    "containers[].securityContext.appArmorProfile.localhostProfile": ELSEWHERE,
    "containers[].securityContext.seLinuxOptions": ELSEWHERE,
    "containers[].securityContext.seccompProfile.localhostProfile": "write type RuntimeDefault or "
    "Unconfined, or run it on a cluster",
    "containers[].securityContext.windowsOptions": ELSEWHERE,
    "containers[].startupProbe": _UNWATCHED,
    "containers[].volumeDevices": ELSEWHERE,
    "containers[].volumeMounts[].bindMountOptions": ELSEWHERE,
    "containers[].volumeMounts[].subPath": "mount the folder itself",
    "containers[].volumeMounts[].subPathExpr": "mount the folder itself",
}
"""Fields that Docker does not support, with advice; a path includes all paths below it."""

_SHORTHAND_OF_POD = frozenset(
    ("volumes", "serviceAccountName", "imagePullSecrets", "nodeSelector", "tolerations",
     "affinity", "priorityClassName")
)  # fmt: skip
_SHORTHAND_OF_MAIN = frozenset(
    ("image", "command", "args", "workingDir", "env", "envFrom", "resources", "volumeMounts",
     "imagePullPolicy", "securityContext")
)  # fmt: skip
"""Shorthand fields of a TaskRun's spec; all other fields are below its template."""
_KEYS = ("name", "mountPath", "ip")
"""Fields that identify an item of a list."""
_REFUSED_ANNOTATIONS = (
    "container.apparmor.security.beta.kubernetes.io/",
    "container.seccomp.security.alpha.kubernetes.io/",
    "seccomp.security.alpha.kubernetes.io/",
)
"""Prefixes of annotations that fields of the securityContext have replaced."""


def check_fields(pod: Mapping[str, Any]) -> None:
    """Check every field of a Pod's spec.

    The table has no metadata, so annotations and finalizers are checked separately.

    Raises:
        Unsupported: A field that Docker does not support; the message has its path.
    """
    metadata = mapping(pod.get("metadata"))
    for name in mapping(metadata.get("annotations")):
        if name.startswith(_REFUSED_ANNOTATIONS):
            raise Unsupported(f"template.metadata.annotations[{name}]", "use securityContext")
    for name in metadata.get("finalizers") or ():
        if name != names.FINALIZER_OUTCOME:
            raise Unsupported(
                f"template.metadata.finalizers[{name}]",
                "no controller removes it: leave it out",
            )
    for name, value in mapping(pod.get("spec")).items():
        _check(value, name, name if name in _SHORTHAND_OF_POD else f"template.spec.{name}")


def _check(value: Any, pattern: str, path: str) -> None:
    if value is None or value in ("", [], {}) or pattern in IGNORED:
        return
    field = HONOURED.get(pattern) or HARMLESS.get(pattern)
    if field is not None:
        if not field.kind.accepts(value):
            raise Unsupported(f"{path} {value!r}" if field.kind.shown else path, field.kind.words)
    elif pattern not in _BRANCHES:
        raise Unsupported(path, REFUSED.get(pattern, ELSEWHERE))
    elif f"{pattern}[]" in _BRANCHES:
        for item, named in _items(value, path):
            _check_below(item, f"{pattern}[]", named)
    else:
        _check_below(value, pattern, path)


def _check_below(value: Any, pattern: str, path: str) -> None:
    if not isinstance(value, Mapping):
        raise Unsupported(path, "write a mapping")
    for name, below in value.items():
        shorthand = pattern == "containers[]" and name in _SHORTHAND_OF_MAIN
        _check(below, f"{pattern}.{name}", name if shorthand else f"{path}.{name}")


def _items(value: Any, path: str) -> Iterator[tuple[Any, str]]:
    if not isinstance(value, list | tuple):
        raise Unsupported(path, "write a list")
    for number, item in enumerate(value):
        keys = (text(mapping(item).get(key)) for key in _KEYS)
        yield item, f"{path}[{next(filter(None, keys), number)}]"


def _branches() -> Iterator[str]:
    for path in (*HONOURED, *HARMLESS, *IGNORED, *REFUSED):
        parts = path.split(".")[:-1]
        for count in range(1, len(parts) + 1):
            branch = ".".join(parts[:count])
            yield branch
            yield branch.removesuffix("[]")


_BRANCHES = frozenset(_branches())
"""Paths that have classified fields below them."""
