"""Pure functions that translate DockerOperator's arguments into fields of a TaskRun."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from io import StringIO
from typing import Any

from taskruns.api.names import ANNOTATION_DOCKER_NETWORK, GROUP, LABEL_MANAGED_BY
from taskruns_airflow.argument_types import check_template, list_of, mapping_of, wrong_type
from taskruns_airflow.compat.docker_values import (
    bytes_of,
    hosts_of,
    is_templated,
    labels_of,
    refused_daemons,
    shares_of,
    text_of,
    texts_of,
    words_of,
)
from taskruns_airflow.manifest import Object, Order
from taskruns_airflow.spec_fields import env_vars

TMP_DIR, TMP_VARIABLE = "/tmp/airflow", "AIRFLOW_TMP_DIR"  # noqa: S108  # a path in the container

_PARTS = ("env_file", "environment", "private_environment")
"""Parameters with variables, in ascending order of precedence."""
_TEMPLATED = ("env_file", "environment")
_INSTEAD = (
    "has no value; taking the value from the image is not supported: set a value, or remove the "
    "variable"
)


def variables(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return a container's environment variables.

    Raises:
        ValueError: A variable is not supported. The message contains no value, because it may be a
            secret.
    """
    parts = {name: dict(_part(name, arguments[name])) for name in _PARTS}
    parts["environment"].pop(TMP_VARIABLE, None)  # DockerOperator removes it as well
    if arguments["mount_tmp_dir"]:
        parts["environment"][TMP_VARIABLE] = str(arguments["tmp_dir"] or TMP_DIR)
    return parts["env_file"] | parts["environment"] | parts["private_environment"]


def refused_variables(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each unsupported variable that is known when a DAG is parsed."""
    for name in _PARTS:
        value = arguments[name]
        if name in _TEMPLATED and not isinstance(value, Mapping) and is_templated(value):
            continue
        try:
            dict(_part(name, value))
        except ValueError as refusal:
            yield str(refusal)


def _part(name: str, value: Any) -> Iterator[tuple[str, str]]:
    mapping = _read_file(value) if name == "env_file" else value or {}
    if not isinstance(mapping, Mapping):
        raise wrong_type(name, mapping, "a dict of names to values")
    for variable, content in mapping.items():
        key = str(variable)
        if not key or "=" in key:
            raise ValueError(f"{name}: write a name without `=` for each variable")
        if content is None:
            raise ValueError(f"{name}: {key} {_INSTEAD}")
        yield key, content.decode(errors="replace") if isinstance(content, bytes) else f"{content}"


def _read_file(text: Any) -> Mapping[str, str | None]:
    """Parse the text of an env_file with python-dotenv, as DockerOperator does."""
    if text is None:
        return {}
    if not isinstance(text, str):
        raise ValueError("env_file: write its text, or the name of a .env file")  # noqa: TRY004
    try:
        from dotenv import dotenv_values  # noqa: PLC0415  # optional, from Airflow's provider
    except ModuleNotFoundError:
        raise ValueError(
            "env_file: needs python-dotenv, which is not installed; install it, or set the "
            "variables in `environment`"
        ) from None
    return dotenv_values(stream=StringIO(text))


Volume = tuple[Object, Object]
"""A core/v1 Volume and its VolumeMount."""

_SHM = "/dev/shm"  # noqa: S108  # a path in the container
_API_NAMES = {
    "target": "Target",
    "source": "Source",
    "type": "Type",
    "read_only": "ReadOnly",
    "no_copy": "NoCopy",
    "tmpfs_size": "SizeBytes",
}
_KNOWN_LATER = "template"
_OPTIONS = ("BindOptions", "VolumeOptions", "TmpfsOptions")
_KINDS = ("bind", "volume", "tmpfs")


def volumes(arguments: Mapping[str, Any]) -> Iterator[Volume]:
    """Yield the volumes of `mounts`, `mount_tmp_dir` and `shm_size`.

    Raises:
        ValueError: A mount is not supported; the message names its target.
    """
    yield from mounted(arguments["mounts"])
    if arguments["mount_tmp_dir"]:
        yield _volume("tmp", str(arguments["tmp_dir"] or TMP_DIR), emptyDir={})
    size = shm_size(arguments["shm_size"])
    if size and arguments["ipc_mode"] != "host":  # with host IPC, /dev/shm is the host's
        yield _volume("shm", _SHM, emptyDir={"medium": "Memory", "sizeLimit": str(size)})


def mounted(mounts: Any) -> Iterator[Volume]:
    """Yield the volumes of `mounts`."""
    if mounts is not None and not isinstance(mounts, list | tuple):
        raise ValueError("mounts: write a list of Mount, or of dicts with its arguments")
    for number, mount in enumerate(mounts or ()):
        if not isinstance(mount, Mapping):
            raise ValueError(  # noqa: TRY004  # invalid arguments raise ValueError throughout
                f"mounts[{number}]: write a Mount, or a dict with its arguments"
            )
        yield _mounted(f"mount-{number}", _by_api_names(mount))


def check_mounts(mounts: Any) -> None:
    """Check the parts of `mounts` that are known when a DAG is parsed; skip templates.

    Raises:
        ValueError: As `volumes`.
    """
    if not isinstance(mounts, list | tuple):
        if not is_templated(mounts):
            list(mounted(mounts))
        return
    for mount in mounts:
        known = dict(mount) if isinstance(mount, Mapping) else mount
        for place in ("target", "source", "Target", "Source"):
            if isinstance(known, dict) and is_templated(known.get(place)):
                known[place] = _KNOWN_LATER
        if not is_templated(known):
            list(mounted([known]))


def shm_size(value: Any) -> int:
    """Return the size of /dev/shm in bytes; 0 for Docker's default."""
    return 0 if value is None else bytes_of("shm_size", value)


def _by_api_names(mount: Mapping[str, Any]) -> Object:
    """Return a mount with the field names of the Engine API, without empty fields."""
    fields = {_API_NAMES.get(key, key): value for key, value in mount.items()}
    for options in _OPTIONS:
        fields |= dict(fields.pop(options, None) or {})
    return {key: value for key, value in fields.items() if value}


def _mounted(name: str, mount: Object) -> Volume:
    target, source = mount.pop("Target", None), mount.pop("Source", None)
    kind, read_only = mount.pop("Type", "volume"), mount.pop("ReadOnly", False)
    if not isinstance(target, str):
        raise ValueError("mounts: a mount has no target; write its path in the container")  # noqa: TRY004
    where = f"mounts: {target}"
    if kind not in _KINDS:
        raise ValueError(f"{where}: unknown type {kind!r}; write {', '.join(_KINDS)}")
    if source is not None and not isinstance(source, str):
        raise ValueError(f"{where}: source is of type {type(source).__name__}; write a string")
    source_of = {"bind": _folder, "volume": _volume_of_docker, "tmpfs": _in_memory}[kind]
    volume = source_of(where, source, mount)
    if mount:
        raise ValueError(f"{where}: {', '.join(map(_argument, mount))} is not supported; remove it")
    made, place = _volume(name, target, **volume)
    return made, place | ({"readOnly": True} if read_only else {})


def _folder(where: str, source: str | None, _: Object) -> Object:
    if not source:
        raise ValueError(f"{where}: a bind mount needs a source, the path on the host")
    return {"hostPath": {"path": source}}


def _volume_of_docker(where: str, source: str | None, mount: Object) -> Object:
    if source:
        return {"persistentVolumeClaim": {"claimName": source}}
    if not mount.pop("NoCopy", False):
        raise ValueError(
            f"{where}: a volume without a source would contain the image's files, which is not "
            "supported; write the name of a volume as source, or no_copy=True for an empty one"
        )
    return {"emptyDir": {}}


def _in_memory(where: str, source: str | None, mount: Object) -> Object:
    if source:
        raise ValueError(f"{where}: a tmpfs mount has no source; remove it")
    size = bytes_of(f"{where}: tmpfs_size", mount.pop("SizeBytes", 0))
    return {"emptyDir": {"medium": "Memory"} | ({"sizeLimit": str(size)} if size else {})}


def _argument(key: str) -> str:
    """Return the argument name of an Engine API field; the field's name if Mount has none."""
    return next((name for name, api_name in _API_NAMES.items() if api_name == key), key)


def _volume(name: str, path: str, **source: Any) -> Volume:
    return {"name": name, **source}, {"name": name, "mountPath": path}


_STRATEGIES = {
    "never": "Never",
    "False": "Never",
    "success": "OnPodSuccess",
    "True": "OnPodSuccess",
    "force": "OnPodCompletion",
}
"""podGC strategies by the text of `auto_remove`, a bool before version 3.3 of the provider."""
_NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_USER = re.compile(r"(\d+)(?::(\d+))?")
_LABELS_OF_TRY = {"dag_id", "task_id", "run_id", "try_number", "map_index", LABEL_MANAGED_BY}
_SHARES = 1024
"""CPU shares of one CPU; also the default of a container."""
_NO_ENTRYPOINT = [""]
"""The `command` that removes the image's entrypoint on Docker."""


def translate(order: Order, arguments: Mapping[str, Any]) -> Order:
    """Return `order` with the fields that DockerOperator's arguments set.

    Raises:
        ValueError: A value is not supported. The message names the parameter and says what to
            write instead.
    """
    pairs = list(volumes(arguments))
    own_resources = mapping_of("container_resources", order.container_resources)
    own_context = mapping_of("security_context", order.security_context)
    own_volumes = list_of("volumes", order.volumes or ())
    own_mounts = list_of("volume_mounts", order.volume_mounts or ())
    command, args = _commands(arguments)
    env = [{"name": name, "value": _literal(value)} for name, value in variables(arguments).items()]
    return replace(
        order,
        command=command,
        arguments=args,
        env=[*env_vars(order.env or {}), *env],
        image_pull_policy="Always" if arguments["force_pull"] else "IfNotPresent",
        container_resources=_resources(arguments) | own_resources or None,
        volumes=[*own_volumes, *(volume for volume, _ in pairs)] or None,
        volume_mounts=[*own_mounts, *(mount for _, mount in pairs)] or None,
        security_context=own_context | _security(arguments) or None,
        template=_template(order.template, arguments),
        pod_gc={"strategy": _strategy(arguments)} | mapping_of("pod_gc", order.pod_gc),
        spec=mapping_of("spec", order.spec) | _result_path(arguments),
        labels=_labels(arguments) or None,
    )


def refusals(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each unsupported value, except templates, with what to write instead."""
    yield from refused_daemons(arguments)
    yield from refused_variables(arguments)
    if arguments["retrieve_output"] and not arguments["retrieve_output_path"]:
        yield "retrieve_output: needs retrieve_output_path, the file that has the task's JSON"
    if isinstance(arguments["skip_on_exit_code"], str):
        yield "skip_on_exit_code: write a number, or a list of numbers"
    own_volumes = arguments.get("volumes")
    if isinstance(own_volumes, list | tuple) and any(isinstance(v, str) for v in own_volumes):
        yield "volumes: use mounts=[Mount(source='/folder', target='/place', type='bind')]"
    for check in _CHECKS:
        try:
            check(arguments)
        except ValueError as refusal:
            yield str(refusal)


def _commands(arguments: Mapping[str, Any]) -> tuple[list[str] | None, list[str] | None]:
    """Return the container's `command` and `args`.

    An entrypoint without words removes the image's entrypoint. The program is then the command
    or, without one, the image's CMD.
    """
    entrypoint = words_of("entrypoint", arguments["entrypoint"])
    command = [_literal(word) for word in words_of("command", arguments["command"]) or ()] or None
    if entrypoint is None:
        return None, command
    if not entrypoint:
        if command == _NO_ENTRYPOINT:
            raise ValueError("command: the program is an empty string; write the program to run")
        return command or _NO_ENTRYPOINT, None
    return [_literal(word) for word in entrypoint], command


def _literal(text: str) -> str:
    """Return a text with `$` escaped: Kubernetes expands `$(NAME)`, and Docker does not."""
    return text.replace("$", "$$")


def _check_command(arguments: Mapping[str, Any]) -> None:
    known = not is_templated(arguments["command"])
    _commands(arguments if known else {**arguments, "command": None})


def _check_mounts(arguments: Mapping[str, Any]) -> None:
    shm_size(arguments["shm_size"])
    check_mounts(arguments["mounts"])


def _resources(arguments: Mapping[str, Any]) -> Object:
    cpus, memory = arguments["cpus"], arguments["mem_limit"]
    shares = _SHARES if cpus is None else shares_of(cpus)
    size = 0 if memory is None else bytes_of("mem_limit", memory)
    resources: Object = {}
    if shares not in (0, _SHARES):
        resources["requests"] = {"cpu": f"{(Decimal(shares) / _SHARES).normalize():f}"}
    if size:
        resources["limits"] = {"memory": str(size)}
    return resources


def _security(arguments: Mapping[str, Any]) -> Object:
    context: Object = {}
    if arguments["user"] is not None and (text := str(arguments["user"])):
        user = _USER.fullmatch(text)
        if user is None:
            raise ValueError(
                f"user {text!r}: is not numeric; write numbers, such as 1000 or 1000:1000"
            )
        context["runAsUser"] = int(user[1])
        if user[2]:
            context["runAsGroup"] = int(user[2])
    if arguments["privileged"]:
        context["privileged"] = True
    if added := arguments["cap_add"]:
        added = [added] if isinstance(added, str) else texts_of("cap_add", added)
        context["capabilities"] = {"add": [each.upper().removeprefix("CAP_") for each in added]}
    return context


def _template(before: Any, arguments: Mapping[str, Any]) -> Any:
    """Return the given template with Pod fields for which a TaskRun has no shorthand.

    Fields of the given template take precedence.
    """
    network = _network(arguments)
    addresses = hosts_of(arguments["extra_hosts"]).items()
    fields = {
        "containers": [{"name": "main", "tty": True}] if arguments["tty"] else None,
        "hostname": text_of("hostname", arguments["hostname"]),
        "hostNetwork": network == "host",
        "hostIPC": _ipc_mode(arguments) == "host",
        "hostAliases": [{"ip": ip, "hostnames": [name]} for name, ip in addresses],
        **_dns(arguments),
    }
    spec = {name: value for name, value in fields.items() if value}
    # The default network needs no annotation, and the host network is a field of the Pod.
    joined = network not in ("", "default", "bridge", "host")
    annotations = {ANNOTATION_DOCKER_NETWORK: network} if joined else {}
    if not spec and not annotations:
        return before
    if isinstance(before, str):
        raise ValueError(  # noqa: TRY004  # invalid arguments raise ValueError throughout
            "template: a string cannot be merged with other arguments; write a dict, or set these "
            "fields in the template"
        )
    check_template("template", before)
    own = dict(before or {})
    metadata = dict(own.get("metadata") or {})
    if annotations:
        metadata["annotations"] = {**annotations, **(metadata.get("annotations") or {})}
    laid = {"metadata": metadata, "spec": {**spec, **(own.get("spec") or {})}}
    return {**own, **{part: value for part, value in laid.items() if value}}


def _check_template(arguments: Mapping[str, Any]) -> None:
    _template({}, arguments)


def _network(arguments: Mapping[str, Any]) -> str:
    network = text_of("network_mode", arguments["network_mode"])
    if network and not _NETWORK.fullmatch(network):
        raise ValueError(
            f"network_mode {network!r}: is invalid; write a network's name, bridge, host or none"
        )
    return network


def _ipc_mode(arguments: Mapping[str, Any]) -> str:
    mode = text_of("ipc_mode", arguments["ipc_mode"])
    if mode not in ("", "private", "host"):
        raise ValueError(f"ipc_mode {mode!r}: is not supported; write private or host")
    return mode


def _dns(arguments: Mapping[str, Any]) -> Object:
    servers, searches = (texts_of(name, arguments[name]) for name in ("dns", "dns_search"))
    config = {"nameservers": servers, "searches": searches}
    fields = {"dnsConfig": {key: value for key, value in config.items() if value}}
    return {**fields, "dnsPolicy": "None"} if servers else fields if searches else {}


def _labels(arguments: Mapping[str, Any]) -> dict[str, str]:
    labels = labels_of(arguments["labels"])
    if taken := sorted(name for name in labels if name in _LABELS_OF_TRY or GROUP in name):
        raise ValueError(f"labels {', '.join(taken)}: reserved by taskruns; use another name")
    return labels


def _strategy(arguments: Mapping[str, Any]) -> str:
    choice = arguments["auto_remove"]
    strategy = _STRATEGIES.get("never" if choice in (None, "") else str(choice))
    if strategy is None:
        raise ValueError(
            f"auto_remove {choice!r}: is unknown; write never, success, force, True or False"
        )
    return strategy


def _result_path(arguments: Mapping[str, Any]) -> Object:
    return {"resultPath": arguments["retrieve_output_path"]} if arguments["retrieve_output"] else {}


def _check_working_dir(arguments: Mapping[str, Any]) -> None:
    text_of("working_dir", arguments["working_dir"])


_CHECKS: tuple[Callable[[Mapping[str, Any]], object], ...] = (
    _check_command,
    _resources,
    _security,
    _check_mounts,
    _check_template,
    _labels,
    _strategy,
    _check_working_dir,
)
"""Checks that run when a DAG is parsed and raise ValueError for an unsupported value."""
