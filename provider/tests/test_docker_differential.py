"""Property test that compares the create request of DockerOperator with that of our operator.

Given the same arguments, the installed DockerOperator builds a request with docker-py. Our operator
builds a TaskRun, whose Pod the Docker engine turns into a request. Every difference must be listed
in `DIFFERENCES`, and every refusal in `REFUSED`.
"""

import inspect
import json
import os
import posixpath
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, TypeVar

from airflow.providers.docker.operators.docker import DockerOperator as Original
from docker import APIClient
from docker.utils.proxy import ProxyConfig
from hypothesis import HealthCheck, given, settings

from taskruns.api.v1alpha1 import TaskRun
from taskruns.core.pods import build_pod
from taskruns.engines.docker.container import container_of
from taskruns_airflow.compat import DockerOperator
from taskruns_airflow.compat.docker_values import is_templated
from taskruns_airflow.failures import TaskRunMisconfigured
from taskruns_airflow.identity import Try
from tests.docker_arguments import LEFT_OUT, PARAMS, arguments, parameters

T = TypeVar("T")
OWN = Try("sales", "load", "manual", -1, 1, 0, "2026-11-25T04:00:00.000001+00:00", "i1")
THOROUGH = os.environ.get("TASKRUNS_PROPERTIES") == "thorough"
TMP_DIR = "AIRFLOW_TMP_DIR"
COUNTS: Counter[str] = Counter()


REFUSAL = "DockerOperator: unsupported arguments: "


class NotAccepted(Exception):
    """DockerOperator, docker-py or the daemon refuses the arguments."""


class Created(Exception):
    """The create request has been recorded."""


class Client(APIClient):  # type: ignore[misc]  # docker-py has no types
    """Client that records the body of a create request."""

    def __init__(self) -> None:
        self._version = "1.44"
        self._proxy_configs = ProxyConfig()
        self.body: dict[str, Any] = {}

    def close(self) -> None:
        """Do nothing; no connection was opened."""

    def create_container_from_config(self, config: Any, *_: Any, **__: Any) -> Any:
        self.body = config
        raise Created


def request_of_original(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    client = Client()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load = Original(task_id="load", **kwargs)
        load.__dict__["hook"] = SimpleNamespace(api_client=client)
        load.render_template_fields({"params": PARAMS})
        load._normalize_mounts()  # as its `execute` does first
        load._run_image()
    except Created:
        pass
    except Exception as error:
        raise NotAccepted(repr(error)) from error
    try:
        body: dict[str, Any] = json.loads(json.dumps(client.body, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise NotAccepted(repr(error)) from error
    if wrong := list(invalid_parts(body)):
        raise NotAccepted(wrong[0])
    return body


def request_of_ours(task: DockerOperator) -> tuple[dict[str, Any], dict[str, Any]]:
    manifest = task.build_task_run(OWN)
    place = {"namespace": "jobs", "uid": "11111111-2222-3333-4444-555555555555"}
    manifest["metadata"] |= place
    pod = build_pod(TaskRun.model_validate(manifest), 1)
    pod["metadata"]["uid"] = place["uid"]
    return container_of(pod), manifest["spec"]


def invalid_parts(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the parts of a request whose type or value the Engine API refuses."""
    host = body["HostConfig"]
    texts = [body["Cmd"], body["Entrypoint"], host.get("Dns"), host.get("DnsSearch")]
    texts += [body["Env"], host.get("ExtraHosts")]
    if not all(is_list(each, str) for each in texts if each is not None):
        yield "a list of strings"
    numbers = [host.get(each, 0) for each in ("Memory", "ShmSize", "CpuShares")]
    if not all(isinstance(each, int) and not isinstance(each, bool) for each in numbers):
        yield "a number"
    elif min(numbers) < 0:
        yield "a number below zero"
    if not all(isinstance(each, str | None) for each in (body["Labels"] or {}).values()):
        yield "Labels"
    if any(each.startswith("=") for each in body["Env"] or ()):
        yield "Env"
    if any(":" not in each for each in host.get("ExtraHosts") or ()):
        yield "ExtraHosts"
    if any(map(is_invalid_mount, host.get("Mounts", ()))):
        yield "Mounts"


def is_invalid_mount(mount: Mapping[str, Any]) -> bool:
    source = mount.get("Source") or ""
    match mount.get("Type"):
        case "bind":
            return not posixpath.isabs(source)
        case "tmpfs":
            return bool(source)
        case _:
            return "/" in source


def is_list(value: Any, of: type) -> bool:
    return isinstance(value, list) and all(isinstance(each, of) for each in value)


# ---- comparison ---------------------------------------------------------------------------------


def program(body: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the program that the daemon runs for Entrypoint and Cmd."""
    entrypoint, command = body["Entrypoint"], body["Cmd"] or []
    if entrypoint is None:
        return "after the image's entrypoint", command
    words = [] if entrypoint == [""] else entrypoint
    if not words and not command:
        return "the image's CMD alone", []
    return "this alone", [*words, *command]


def facts(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the contents of a request by path, without empty values."""
    rest = dict(body)
    host = dict(rest.pop("HostConfig"))
    env = dict(each.partition("=")[::2] for each in rest.pop("Env") or ())
    labels = {name: label or "" for name, label in (rest.pop("Labels") or {}).items()}
    mounts = {each["Target"]: dict(each) for each in host.pop("Mounts", None) or ()}
    entries = {
        "program": program(body),
        **{f"Env.{name}": value for name, value in env.items()},
        **{f"Labels.{name}": f"{value!r}" for name, value in labels.items()},
        **{
            f"Mounts.{target}.{key}": value
            for target, mount in mounts.items()
            for key, value in mount.items()
            if key != "Target"
        },
        **{f"HostConfig.{key}": value for key, value in host.items()},
        **{key: each for key, each in rest.items() if key not in ("Cmd", "Entrypoint")},
    }
    keep = ("Env.", "Labels.")
    return {
        k: v for k, v in entries.items() if k.startswith(keep) or v not in (None, "", [], {}, 0)
    }


Check = Callable[[Any, Any, Mapping[str, Any]], bool]
DIFFERENCES: Mapping[str, tuple[str, Check]] = {
    "AttachStdout": ("docker-py's own; no meaning for a create", lambda *_: True),
    "AttachStderr": ("likewise", lambda *_: True),
    "StopTimeout": ("a grace period, as a Pod has it", lambda _, ours, __: ours == 30),
    "Hostname": (
        "an attempt's name instead of the container's ID",
        lambda theirs, _, kwargs: theirs is None and not kwargs.get("hostname"),
    ),
    "HostConfig.LogConfig": (
        "no options: the daemon's driver",
        lambda theirs, *_: theirs == {"Type": None, "Config": {}},
    ),
    "HostConfig.DnsOptions": (
        "with `dns`, none of the host's, as in a Pod",
        lambda theirs, ours, kwargs: (theirs, ours) == (None, ["ndots:1"]) and kwargs["dns"],
    ),
    "HostConfig.DnsSearch": (
        "likewise",
        lambda theirs, ours, kwargs: (theirs, ours) == (None, ["."]) and kwargs["dns"],
    ),
    "HostConfig.RestartPolicy": ("stated explicitly", lambda _, ours, __: ours == {"Name": "no"}),
    "HostConfig.MemorySwap": (
        "no swap beyond the limit, as in a Pod",
        lambda _, ours, kwargs: ours and bool(kwargs["mem_limit"]),
    ),
    "HostConfig.CpuShares": (
        "the default is left out; 2 is the least that Linux has",
        lambda theirs, ours, _: (theirs, ours) in {(1024, None), (1, 2)},
    ),
    "HostConfig.IpcMode": (
        "private is the daemon's default",
        lambda theirs, ours, _: (theirs, ours) == (None, "private"),
    ),
    "HostConfig.NetworkMode": (
        "bridge is the default network",
        lambda theirs, ours, _: (theirs, ours) == ("bridge", "default"),
    ),
    "HostConfig.CapAdd": (
        "the daemon itself writes them with the prefix, and in capitals",
        lambda theirs, ours, _: capabilities(theirs) == capabilities(ours),
    ),
    "HostConfig.ShmSize": (
        "a volume in memory at /dev/shm, of that size",
        lambda theirs, ours, _: theirs and ours is None,
    ),
}


def capabilities(value: Any) -> list[str]:
    names = [value] if isinstance(value, str) else value or []
    return [name.upper().removeprefix("CAP_") for name in names]


def expected(theirs: dict[str, Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return their facts, with our volumes in place of the host's temporary folder and /dev/shm."""
    result = dict(theirs)
    folder = result.get(f"Env.{TMP_DIR}") if kwargs.get("mount_tmp_dir", True) else None
    tmp = kwargs.get("tmp_dir", "/tmp/airflow") if folder is not None else None
    if tmp is not None:
        assert result.pop(f"Mounts.{tmp}.Type") == "bind"
        assert "airflowtmp" in result.pop(f"Mounts.{tmp}.Source")
        result |= {f"Mounts.{tmp}.Type": "volume", f"Mounts.{tmp}.VolumeOptions": {"NoCopy": True}}
    size = result.get("HostConfig.ShmSize")
    if size and kwargs.get("ipc_mode") != "host":
        result["Mounts./dev/shm.Type"] = "tmpfs"
        result["Mounts./dev/shm.TmpfsOptions"] = {"SizeBytes": size}
    hosts = result.get("HostConfig.ExtraHosts")
    return result | ({"HostConfig.ExtraHosts": sorted(hosts)} if hosts else {})


def differences(
    theirs: Mapping[str, Any], ours: Mapping[str, Any], kwargs: Mapping[str, Any]
) -> Iterator[str]:
    """Yield each difference that `DIFFERENCES` does not allow."""
    for key in sorted(theirs.keys() | ours.keys()):
        before, now = theirs.get(key), ours.get(key)
        known = DIFFERENCES.get(key)
        if before == now or (known and known[1](before, now, kwargs)):
            continue
        yield f"{key}: {before!r} there, {now!r} here"


def without_additions(ours: dict[str, Any]) -> dict[str, Any]:
    """Return our facts without the variables and labels that taskruns adds to every container."""
    labels = {*OWN.labels, "app.kubernetes.io/managed-by"}
    own = {f"Labels.{name}" for name in labels}
    hosts = ours.get("HostConfig.ExtraHosts")
    adjusted = ours | ({"HostConfig.ExtraHosts": sorted(hosts)} if hosts else {})
    return {
        key: value
        for key, value in adjusted.items()
        if key not in own and not key.startswith(("Env.TASKRUN_",)) and "taskruns.dev/" not in key
    }


# ---- refusals -----------------------------------------------------------------------------------


def is_numeric(user: Any) -> bool:
    return all(part.isdigit() for part in str(user).split(":"))


def has_none(variables: Any) -> bool:
    return any(value is None for value in (variables or {}).values())


def has_unsupported_mount(mounts: Any) -> bool:
    """Whether a mount has options that a Pod's volume lacks."""
    plain = {"target", "source", "type", "read_only", "tmpfs_size", "no_copy"}
    api = {"Target", "Source", "Type", "ReadOnly", "TmpfsOptions", "VolumeOptions"}
    for mount in mounts or ():
        kind = mount.get("type", mount.get("Type", "volume"))
        source = mount.get("source", mount.get("Source"))
        options = {**mount, **mount.get("VolumeOptions", {}), **mount.get("TmpfsOptions", {})}
        copies = not options.get("no_copy", options.get("NoCopy"))
        odd = {k for k, v in options.items() if v} - plain - api - {"NoCopy", "SizeBytes"}
        if odd or (kind == "volume" and bool(source) is not copies):
            return True
    return False


REFUSED: Mapping[str, Callable[[Any], bool]] = {
    "container_name": bool,
    "docker_conn_id": bool,
    "docker_url": lambda url: isinstance(url, list) and len(url) > 1,
    "host_tmp_dir": bool,
    "device_requests": bool,
    "log_opts_max_size": bool,
    "log_opts_max_file": bool,
    "ulimits": bool,
    "port_bindings": bool,
    "environment": has_none,
    "private_environment": has_none,
    "env_file": lambda text: "UNSET" in text or "no line!" in text,
    "command": lambda command: command in ([""], ("",), "['']", "''"),
    "user": lambda user: not is_numeric(user),
    "network_mode": lambda mode: mode.startswith("container:"),
    "ipc_mode": lambda mode: mode == "shareable",
    "mounts": has_unsupported_mount,
    "labels": lambda labels: "dag_id" in labels,
    "retrieve_output": bool,
    "tls_hostname": lambda name: isinstance(name, str),
    "tls_verify": lambda verify: not verify,
}
"""Predicates for the refused values, by parameter."""


def is_expected_refusal(message: str, kwargs: Mapping[str, Any]) -> bool:
    """Whether each sentence of a refusal names a parameter whose value may be refused."""
    _, _, sentences = message.partition(REFUSAL)
    named = [name for name in kwargs if any(s.startswith(name) for s in sentences.split("; "))]
    return bool(named) and all(name in REFUSED and REFUSED[name](kwargs[name]) for name in named)


def test_every_parameter_is_generated() -> None:
    own = set(inspect.signature(Original.__init__).parameters) - {"self", "kwargs"}
    assert parameters() | LEFT_OUT == own


def compare(kwargs: dict[str, Any]) -> str:
    """Return the result of comparing one set of arguments; raise on an unexpected difference."""
    theirs, _ = attempt(lambda: request_of_original(kwargs), NotAccepted)
    task, refusal = attempt(lambda: DockerOperator(task_id="load", **kwargs), ValueError)
    if task is None:
        assert theirs is None or is_expected_refusal(refusal, kwargs), refusal
        return "refused"
    task.render_template_fields({"params": PARAMS})
    if theirs is None:
        return "not accepted"
    made, refusal = attempt(lambda: request_of_ours(task), TaskRunMisconfigured)
    if made is None:  # env_file was a template until it was rendered
        assert is_templated(kwargs.get("env_file")), refusal
        assert is_expected_refusal(f"{REFUSAL}{refusal}", kwargs), refusal
        return "refused when the task runs"
    body, spec = made
    left = list(
        differences(expected(facts(theirs), kwargs), without_additions(facts(body)), kwargs)
    )
    assert not left, left
    pulled = "Always" if kwargs.get("force_pull") else "IfNotPresent"
    kept = {"never": "Never", "success": "OnPodSuccess", "force": "OnPodCompletion"}
    assert spec["imagePullPolicy"] == pulled
    assert spec["podGC"]["strategy"] == kept[kwargs.get("auto_remove", "never")]
    return "compared"


def attempt(make: Callable[[], T], refusal: type[Exception]) -> tuple[T | None, str]:
    """Return the result of `make` and no message, or None and the refusal's message."""
    try:
        return make(), ""
    except refusal as error:
        return None, str(error)


def test_the_create_requests_are_equal() -> None:
    counts: Counter[str] = Counter()

    @settings(
        max_examples=6000 if THOROUGH else 120,
        derandomize=not THOROUGH,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(arguments())
    def try_one(kwargs: dict[str, Any]) -> None:
        how = compare(kwargs)
        counts[how] += 1
        counts["arguments compared"] += len(kwargs) if how == "compared" else 0

    try_one()
    print(f"\nDockerOperator: {dict(counts)}")
    assert counts["compared"] > counts["refused"]
