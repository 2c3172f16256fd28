"""What DockerOperator's arguments ask for, in a TaskRun's words: values in, values out."""

import ast
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from taskruns.api.names import ANNOTATION_DOCKER_NETWORK
from taskruns_airflow.environment import env_vars
from taskruns_airflow.manifest import Object, Order

TMP_DIR, TMP_VARIABLE = "/tmp/airflow", "AIRFLOW_TMP_DIR"  # noqa: S108  # of the container
_SHM = "/dev/shm"  # noqa: S108  # likewise

_STRATEGIES = {"never": "Never", "success": "OnPodSuccess", "force": "OnPodCompletion"}
_SIZE = re.compile(r"(\d+)([bkmgt]?)b?", re.IGNORECASE)
_UNITS = {"": "", "b": "", "k": "Ki", "m": "Mi", "g": "Gi", "t": "Ti"}
_NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_USER = re.compile(r"(\d+)(?::(\d+))?")
_VARIABLE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*)")


def translate(order: Order, told: Mapping[str, Any]) -> Order:
    """Return an order that asks for the same, on top of what `order` asks for.

    Raises:
        ValueError: names the parameter whose value cannot be had, and says what to write instead.
    """
    volumes = list(_volumes(told))
    labels = told["labels"] or {}
    own = labels if isinstance(labels, Mapping) else dict.fromkeys(labels, "")
    return replace(
        order,
        command=_words("entrypoint", told["entrypoint"]),
        arguments=_words("command", told["command"]),
        env=[*env_vars(order.env or {}), *_env(told)],
        image_pull_policy="Always" if told["force_pull"] else "IfNotPresent",
        container_resources=_resources(told) | dict(order.container_resources or {}) or None,
        volumes=[*(order.volumes or ()), *(volume for volume, _ in volumes)] or None,
        volume_mounts=[*(order.volume_mounts or ()), *(mount for _, mount in volumes)] or None,
        security_context=dict(order.security_context or {}) | _security(told) or None,
        template=_template(order.template, told),
        pod_gc={"strategy": _strategy(told["auto_remove"])} | dict(order.pod_gc or {}),
        spec=dict(order.spec or {}) | _result_path(told),
        labels=own or None,
    )


def refusals(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what cannot be had of values that are no templates, with what to write instead."""
    yield from _refused_ways(told)
    if told["network_mode"] and not _NETWORK.fullmatch(told["network_mode"]):
        yield f"network_mode {told['network_mode']!r}: write a network's name, bridge, host or none"
    if told["ipc_mode"] not in (None, "private", "host"):
        yield f"ipc_mode {told['ipc_mode']!r}: write private or host"
    if told["retrieve_output"] and not told["retrieve_output_path"]:
        yield "retrieve_output: say where the task writes its JSON with retrieve_output_path"
    for translated in (_security, _resources, _volumes_unless_templated, _strategy_of):
        try:
            translated(told)
        except ValueError as refusal:
            yield str(refusal)


def _refused_ways(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what cannot be had of the ways to a daemon."""
    if isinstance(told["docker_url"], list | tuple) and len(told["docker_url"]) > 1:
        yield "docker_url: name one daemon: a run stays where it was begun"
    if (daemon_url(told["docker_url"]) or "").startswith("ssh://"):
        yield "docker_url ssh://: forward the daemon's socket with `ssh -L`, and name that: unix://"
    if told["tls_verify"] is False and told["tls_ca_cert"]:
        yield "tls_verify=False: name the authority of the daemon's certificate: tls_ca_cert"
    if isinstance(told["tls_hostname"], str):
        yield "tls_hostname: write False where the daemon's certificate is for another name"


def daemon_url(told: str | Sequence[str] | None) -> str | None:
    """Return the daemon's URL; DockerOperator takes `unix://var/run/docker.sock`, too."""
    url = told if isinstance(told, str) else next(iter(told or ()), None)
    if url is not None and url.startswith("unix://") and not url.startswith("unix:///"):
        return url.replace("unix://", "unix:///", 1)
    return url or None


def _words(name: str, told: str | Sequence[str] | None) -> list[str] | None:
    """Return words that Kubernetes leaves as they are: `$` stands for nothing in Docker."""
    if told is None:
        return None
    if isinstance(told, str):
        listed = told.strip().startswith("[")
        try:
            told = ast.literal_eval(told.strip()) if listed else shlex.split(told)
        except (ValueError, SyntaxError) as error:
            raise ValueError(f"{name}: {error}: write a list of words") from None
    return [_literal(str(word)) for word in told or ()]


def _literal(text: str) -> str:
    return text.replace("$", "$$")


def _env(told: Mapping[str, Any]) -> list[Object]:
    found: dict[str, Any] = dict(_read_env_file(told["env_file"] or ""))
    found |= {**(told["environment"] or {}), **(told["private_environment"] or {})}
    if told["mount_tmp_dir"] is not False:
        found[TMP_VARIABLE] = told["tmp_dir"] or TMP_DIR
    return [
        {"name": name, "value": _literal(str(value))}
        for name, value in found.items()
        if value is not None
    ]


def _read_env_file(content: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _VARIABLE.fullmatch(line.strip())
        if found is None:
            raise ValueError(f"env_file: line {number}: write NAME=VALUE")
        value = found[2]
        if value[:1] in ("'", '"'):
            value = value[1:].partition(value[0])[0]
        else:
            value = value.partition(" #")[0].rstrip()
        yield found[1], value


def _resources(told: Mapping[str, Any]) -> Object:
    cpus, memory = told["cpus"], told["mem_limit"]
    found: Object = {}
    if cpus is not None and cpus != 1:  # 1 is every container's weight
        found["requests"] = {"cpu": str(cpus)}
    if memory is not None:
        found["limits"] = {"memory": _quantity(memory)}
    return found


def _quantity(size: float | str) -> str:
    if isinstance(size, int | float):
        return str(int(size))
    found = _SIZE.fullmatch(size.strip())
    if found is None:
        raise ValueError(f"mem_limit {size!r}: write bytes, or as 512m or 2g")
    return found[1] + _UNITS[found[2].lower()]


def _security(told: Mapping[str, Any]) -> Object:
    found: Object = {}
    if told["user"] is not None:
        user = _USER.fullmatch(str(told["user"]))
        if user is None:
            raise ValueError(f"user {told['user']!r}: write numbers, as 1000 or 1000:1000")
        found["runAsUser"] = int(user[1])
        if user[2]:
            found["runAsGroup"] = int(user[2])
    if told["privileged"]:
        found["privileged"] = True
    if told["cap_add"]:
        added = [each.upper().removeprefix("CAP_") for each in told["cap_add"]]
        found["capabilities"] = {"add": added}
    return found


def _volumes(told: Mapping[str, Any]) -> Iterator[tuple[Object, Object]]:
    """Yield volumes with where they are mounted."""
    for number, mount in enumerate(told["mounts"] or ()):
        yield _volume(f"mount-{number}", _named_as_api(mount))
    if told["mount_tmp_dir"] is not False:
        yield {"name": "tmp", "emptyDir": {}}, _at("tmp", told["tmp_dir"] or TMP_DIR)
    if told["shm_size"]:
        memory = {"medium": "Memory", "sizeLimit": str(told["shm_size"])}
        yield {"name": "shm", "emptyDir": memory}, _at("shm", _SHM)


def _volumes_unless_templated(told: Mapping[str, Any]) -> None:
    if "{{" not in str(told["mounts"]):
        list(_volumes(told))


_MOUNT_NAMES = {
    "target": "Target",
    "source": "Source",
    "type": "Type",
    "read_only": "ReadOnly",
    "tmpfs_size": "SizeBytes",
}


def _named_as_api(mount: Mapping[str, Any]) -> Object:
    """Return a mount by the names of the Engine API, whether it is a Mount or its arguments."""
    named = {_MOUNT_NAMES.get(key, key): value for key, value in mount.items() if value is not None}
    return {**named, **dict(named.pop("TmpfsOptions", {}))}


def _volume(name: str, mount: Object) -> tuple[Object, Object]:
    target, source, kind = (mount.pop(key, None) for key in ("Target", "Source", "Type"))
    read_only, size = mount.pop("ReadOnly", False), mount.pop("SizeBytes", None)
    if mount:
        raise ValueError(f"mounts: {target}: {', '.join(mount)}: leave it out")
    place = _at(name, str(target)) | ({"readOnly": True} if read_only else {})
    if kind == "bind":
        return {"name": name, "hostPath": {"path": source}}, place
    if kind == "tmpfs":
        limit = {} if size is None else {"sizeLimit": str(size)}
        return {"name": name, "emptyDir": {"medium": "Memory"} | limit}, place
    if source:
        return {"name": name, "persistentVolumeClaim": {"claimName": source}}, place
    return {"name": name, "emptyDir": {}}, place


def _at(name: str, path: str) -> Object:
    return {"name": name, "mountPath": path}


def _template(told_before: Any, told: Mapping[str, Any]) -> Any:
    """Lay what a Pod has and a container's shorthand has not under the template that is given."""
    hosts = (told["extra_hosts"] or {}).items()
    asked = {
        "containers": [{"name": "main", "tty": True}] if told["tty"] else None,
        "hostname": told["hostname"],
        "hostNetwork": told["network_mode"] == "host",
        "hostIPC": told["ipc_mode"] == "host",
        "hostAliases": [{"ip": ip, "hostnames": [name]} for name, ip in hosts],
        **_dns(told["dns"], told["dns_search"]),
    }
    spec = {name: value for name, value in asked.items() if value}
    annotations = dict(_network(told["network_mode"]))
    if not spec and not annotations:
        return told_before
    if isinstance(told_before, str):
        raise ValueError(  # noqa: TRY004  # as every refusal of what a task asks for
            "template: say all of it there, or none: a file is not added to"
        )
    before = dict(told_before or {})
    metadata = dict(before.get("metadata") or {})
    if annotations:
        metadata["annotations"] = {**annotations, **(metadata.get("annotations") or {})}
    laid = {"metadata": metadata, "spec": {**spec, **(before.get("spec") or {})}}
    return {**before, **{part: value for part, value in laid.items() if value}}


def _network(mode: str | None) -> Iterator[tuple[str, str]]:
    """Yield the annotation of a network that is neither the default one nor the host's."""
    if mode not in (None, "", "default", "bridge", "host"):
        yield ANNOTATION_DOCKER_NETWORK, str(mode)


def _dns(servers: Iterable[str] | None, searches: Iterable[str] | None) -> Object:
    config = {"nameservers": list(servers or ()), "searches": list(searches or ())}
    found = {"dnsConfig": {key: value for key, value in config.items() if value}}
    return {**found, "dnsPolicy": "None"} if servers else found if searches else {}


def _strategy(auto_remove: str | None) -> str:
    strategy = _STRATEGIES.get(auto_remove or "never")
    if strategy is None:
        raise ValueError(f"auto_remove {auto_remove!r}: write {', '.join(_STRATEGIES)}")
    return strategy


def _strategy_of(told: Mapping[str, Any]) -> None:
    _strategy(told["auto_remove"])


def _result_path(told: Mapping[str, Any]) -> Object:
    return {"resultPath": told["retrieve_output_path"]} if told["retrieve_output"] else {}
