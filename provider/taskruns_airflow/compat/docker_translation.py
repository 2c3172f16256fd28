"""What DockerOperator's arguments ask for, in a TaskRun's words: values in, values out."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from taskruns.api.names import ANNOTATION_DOCKER_NETWORK, GROUP, LABEL_MANAGED_BY
from taskruns_airflow.compat.docker_daemon import refused_daemons
from taskruns_airflow.compat.docker_environment import refused_variables, variables
from taskruns_airflow.compat.docker_mounts import check_mounts, shm_size, volumes
from taskruns_airflow.compat.docker_values import (
    bytes_of,
    hosts_of,
    is_templated,
    labels_of,
    shares_of,
    text_of,
    texts_of,
    words_of,
)
from taskruns_airflow.environment import env_vars
from taskruns_airflow.manifest import Object, Order

_STRATEGIES = {
    "never": "Never",
    "False": "Never",
    "success": "OnPodSuccess",
    "True": "OnPodSuccess",
    "force": "OnPodCompletion",
}
"""By the text of `auto_remove`, which was a bool before version 3.3 of the provider."""
_NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_USER = re.compile(r"(\d+)(?::(\d+))?")
_LABELS_OF_TRY = {"dag_id", "task_id", "run_id", "try_number", "map_index", LABEL_MANAGED_BY}
_SHARES = 1024
"""CPU shares of one CPU, and of a container that asks for none."""
_NO_ENTRYPOINT = [""]
"""The `command` that Docker takes for none, not even the image's."""


def translate(order: Order, given: Mapping[str, Any]) -> Order:
    """Return an order that asks for the same, on top of what `order` asks for.

    Raises:
        ValueError: names the parameter whose value cannot be had, and says what to write instead.
    """
    made = list(volumes(given))
    command, arguments = _commands(given)
    env = [{"name": name, "value": _literal(value)} for name, value in variables(given).items()]
    return replace(
        order,
        command=command,
        arguments=arguments,
        env=[*env_vars(order.env or {}), *env],
        image_pull_policy="Always" if given["force_pull"] else "IfNotPresent",
        container_resources=_resources(given) | dict(order.container_resources or {}) or None,
        volumes=[*(order.volumes or ()), *(volume for volume, _ in made)] or None,
        volume_mounts=[*(order.volume_mounts or ()), *(mount for _, mount in made)] or None,
        security_context=dict(order.security_context or {}) | _security(given) or None,
        template=_template(order.template, given),
        pod_gc={"strategy": _strategy(given)} | dict(order.pod_gc or {}),
        spec=dict(order.spec or {}) | _result_path(given),
        labels=_labels(given) or None,
    )


def refusals(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what cannot be had of values that are no templates, with what to write instead."""
    yield from refused_daemons(given)
    yield from refused_variables(given)
    if given["retrieve_output"] and not given["retrieve_output_path"]:
        yield "retrieve_output: say where the task writes its JSON with retrieve_output_path"
    if isinstance(given["skip_on_exit_code"], str):
        yield "skip_on_exit_code: write a number, or a list of numbers"
    if any(isinstance(each, str) for each in given.get("volumes") or ()):
        yield "volumes: write mounts=[Mount(source='/folder', target='/place', type='bind')]"
    for check in _CHECKS:
        try:
            check(given)
        except ValueError as refusal:
            yield str(refusal)


def _commands(given: Mapping[str, Any]) -> tuple[list[str] | None, list[str] | None]:
    """Return the words of `command` and `args`.

    An entrypoint of no words takes the image's away. Then the command is the whole program, or
    the image's CMD is, where there is no command.
    """
    entrypoint = words_of("entrypoint", given["entrypoint"])
    command = [_literal(word) for word in words_of("command", given["command"]) or ()] or None
    if entrypoint is None:
        return None, command
    if not entrypoint:
        if command == _NO_ENTRYPOINT:
            raise ValueError("command: an empty word is no program: write the program to run")
        return command or _NO_ENTRYPOINT, None
    return [_literal(word) for word in entrypoint], command


def _literal(text: str) -> str:
    """Return a text that Kubernetes leaves as it is: `$` stands for nothing in Docker."""
    return text.replace("$", "$$")


def _check_command(given: Mapping[str, Any]) -> None:
    known = not is_templated(given["command"])
    _commands(given if known else {**given, "command": None})


def _check_mounts(given: Mapping[str, Any]) -> None:
    shm_size(given["shm_size"])
    check_mounts(given["mounts"])


def _resources(given: Mapping[str, Any]) -> Object:
    cpus, memory = given["cpus"], given["mem_limit"]
    shares = _SHARES if cpus is None else shares_of(cpus)
    size = 0 if memory is None else bytes_of("mem_limit", memory)
    found: Object = {}
    if shares not in (0, _SHARES):
        found["requests"] = {"cpu": f"{(Decimal(shares) / _SHARES).normalize():f}"}
    if size:
        found["limits"] = {"memory": str(size)}
    return found


def _security(given: Mapping[str, Any]) -> Object:
    found: Object = {}
    if given["user"] is not None and (told := str(given["user"])):
        user = _USER.fullmatch(told)
        if user is None:
            raise ValueError(f"user {told!r}: write numbers, as 1000 or 1000:1000")
        found["runAsUser"] = int(user[1])
        if user[2]:
            found["runAsGroup"] = int(user[2])
    if given["privileged"]:
        found["privileged"] = True
    if added := given["cap_add"]:
        added = [added] if isinstance(added, str) else texts_of("cap_add", added)
        found["capabilities"] = {"add": [each.upper().removeprefix("CAP_") for each in added]}
    return found


def _template(before: Any, given: Mapping[str, Any]) -> Any:
    """Lay what a Pod has and a container's shorthand has not under the template that is given."""
    network = _network(given)
    addresses = hosts_of(given["extra_hosts"]).items()
    asked = {
        "containers": [{"name": "main", "tty": True}] if given["tty"] else None,
        "hostname": text_of("hostname", given["hostname"]),
        "hostNetwork": network == "host",
        "hostIPC": _ipc_mode(given) == "host",
        "hostAliases": [{"ip": ip, "hostnames": [name]} for name, ip in addresses],
        **_dns(given),
    }
    spec = {name: value for name, value in asked.items() if value}
    # The default network needs no name; the host's is a field of the Pod.
    joined = network not in ("", "default", "bridge", "host")
    annotations = {ANNOTATION_DOCKER_NETWORK: network} if joined else {}
    if not spec and not annotations:
        return before
    if isinstance(before, str):
        raise ValueError(  # noqa: TRY004  # as every refusal of what a task asks for
            "template: say all of it there, or none: a file is not added to"
        )
    own = dict(before or {})
    metadata = dict(own.get("metadata") or {})
    if annotations:
        metadata["annotations"] = {**annotations, **(metadata.get("annotations") or {})}
    laid = {"metadata": metadata, "spec": {**spec, **(own.get("spec") or {})}}
    return {**own, **{part: value for part, value in laid.items() if value}}


def _check_template(given: Mapping[str, Any]) -> None:
    _template({}, given)


def _network(given: Mapping[str, Any]) -> str:
    network = text_of("network_mode", given["network_mode"])
    if network and not _NETWORK.fullmatch(network):
        raise ValueError(f"network_mode {network!r}: write a network's name, bridge, host or none")
    return network


def _ipc_mode(given: Mapping[str, Any]) -> str:
    mode = text_of("ipc_mode", given["ipc_mode"])
    if mode not in ("", "private", "host"):
        raise ValueError(f"ipc_mode {mode!r}: write private or host")
    return mode


def _dns(given: Mapping[str, Any]) -> Object:
    servers, searches = (texts_of(name, given[name]) for name in ("dns", "dns_search"))
    config = {"nameservers": servers, "searches": searches}
    found = {"dnsConfig": {key: value for key, value in config.items() if value}}
    return {**found, "dnsPolicy": "None"} if servers else found if searches else {}


def _labels(given: Mapping[str, Any]) -> dict[str, str]:
    labels = labels_of(given["labels"])
    if taken := sorted(name for name in labels if name in _LABELS_OF_TRY or GROUP in name):
        raise ValueError(f"labels {', '.join(taken)}: taskruns sets it: choose another name")
    return labels


def _strategy(given: Mapping[str, Any]) -> str:
    wanted = given["auto_remove"]
    strategy = _STRATEGIES.get("never" if wanted in (None, "") else str(wanted))
    if strategy is None:
        raise ValueError(f"auto_remove {wanted!r}: write never, success, force, True or False")
    return strategy


def _result_path(given: Mapping[str, Any]) -> Object:
    return {"resultPath": given["retrieve_output_path"]} if given["retrieve_output"] else {}


def _check_working_dir(given: Mapping[str, Any]) -> None:
    text_of("working_dir", given["working_dir"])


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
"""What is read when a DAG is parsed, so that a value that cannot be had is refused there."""
