"""Classification of every field of core/v1's PodSpec: honoured, ignored or refused."""

import re
from collections.abc import Iterator
from typing import Any

import kubernetes.client
import pytest

from taskruns.engines.docker.container import container_of
from taskruns.engines.docker.fields import (
    HARMLESS,
    HONOURED,
    IGNORED,
    REFUSED,
    Unsupported,
    check_fields,
)


def leaves(model: str, path: str = "", above: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the path of every leaf below a model of the official client."""
    cls = getattr(kubernetes.client, model)
    for attribute, written in cls.openapi_types.items():
        below = f"{path}.{cls.attribute_map[attribute]}".removeprefix(".")
        if item := re.fullmatch(r"[Ll]ist\[(.*)\]", written):
            written, below = item[1], f"{below}[]"  # noqa: PLW2901 - continues with the item type
        if written in above:
            continue
        if hasattr(kubernetes.client, written):
            yield from leaves(written, below, (*above, written))
        elif re.match(r"[Dd]ict", written):
            yield f"{below}{{}}"
        else:
            yield below


LEAVES = frozenset(leaves("V1PodSpec"))
OPEN = {"containers[].resources.limits{}", "containers[].resources.requests{}"}
"""Maps with some honoured keys; all other keys are refused."""


def is_below(path: str, table: Any) -> bool:
    return any(path == each or re.match(rf"{re.escape(each)}[.\[{{]", path) for each in table)


def test_the_whole_schema_is_read() -> None:
    assert len(LEAVES) > 700
    assert "volumes[].emptyDir.medium" in LEAVES
    assert "containers[].securityContext.seccompProfile.localhostProfile" in LEAVES


def test_every_field_is_classified_once() -> None:
    tables = (HONOURED, HARMLESS, IGNORED, REFUSED)
    counts = {
        path: sum(is_below(path.removesuffix("[]"), table) for table in tables)
        for path in LEAVES - OPEN
    }
    assert [path for path, count in counts.items() if count != 1] == []


def test_every_classified_path_exists_in_kubernetes() -> None:
    known = {path.replace("{}", "").replace("[]", "") for path in LEAVES}
    for path in (*HONOURED, *HARMLESS, *IGNORED, *REFUSED):
        plain = path.replace("[]", "")
        if ".resources.limits." in plain or ".resources.requests." in plain:
            continue
        assert any(each == plain or each.startswith(f"{plain}.") for each in known), path


POD: dict[str, Any] = {
    "containers": [
        {
            "name": "main",
            "image": "i",
            "env": [{"name": "A", "value": "1"}],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        }
    ],
    "volumes": [{"name": "v", "hostPath": {"path": "/srv"}}],
}


def placed(path: str, value: Any, below: Any = None) -> dict[str, Any]:
    """Return a Pod's spec with a value at a path; a list in the path means its first item."""
    spec: dict[str, Any] = below if below is not None else copy_of(POD)
    parent: Any = spec
    parts = path.split(".")
    for part in parts[:-1]:
        name = part.removesuffix("[]")
        parent = parent.setdefault(name, [{}] if part.endswith("[]") else {})
        parent = parent[0] if isinstance(parent, list) else parent
    parent[parts[-1].removesuffix("[]")] = value
    return spec


def copy_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: copy_of(below) for key, below in value.items()}
    return [copy_of(item) for item in value] if isinstance(value, list) else value


def body(spec: dict[str, Any]) -> dict[str, Any]:
    return container_of({"metadata": {"name": "p", "uid": "u"}, "spec": spec})


def at(value: dict[str, Any], path: str) -> Any:
    for part in path.split("."):
        value = value[part]
    return value


MAIN = "containers[]."
SAMPLES = {"livenessProbe": {"exec": {}}, "resources": {"limits": {"cpu": "1"}}}


@pytest.mark.parametrize("path", sorted(REFUSED))
def test_refused_fields_are_reported_by_path(path: str) -> None:
    last = path.rpartition(".")[2].removesuffix("[]")
    spec = placed(path, SAMPLES.get(last, "x"))
    if path.startswith("volumes[].") and "emptyDir" not in path:
        del spec["volumes"][0]["hostPath"]
    with pytest.raises(Unsupported) as caught:
        body(spec)
    assert last in str(caught.value) or "more than the main container" in str(caught.value)
    assert REFUSED[path] in str(caught.value)


CANDIDATES = (True, False, "linux", "Never", "default-scheduler", "Merge", "Default", "Disabled")


@pytest.mark.parametrize("path", sorted(HARMLESS))
def test_harmless_fields_accept_only_their_harmless_value(path: str) -> None:
    accepted = list(filter(HARMLESS[path].kind.accepts, CANDIDATES))
    assert len(accepted) == 1
    assert body(placed(path, accepted[0])) == body(copy_of(POD))
    with pytest.raises(Unsupported, match=path.rpartition(".")[2]):
        body(placed(path, "other"))


CONFIG = "HostConfig."
EFFECTS: dict[str, tuple[Any, str, Any]] = {
    "dnsConfig.nameservers": (["9.9.9.9"], CONFIG + "Dns", ["9.9.9.9"]),
    "dnsConfig.searches": (["a.test"], CONFIG + "DnsSearch", ["a.test"]),
    "dnsConfig.options[].name": ("edns0", CONFIG + "DnsOptions", ["edns0"]),
    "hostIPC": (True, CONFIG + "IpcMode", "host"),
    "hostNetwork": (True, CONFIG + "NetworkMode", "host"),
    "hostPID": (True, CONFIG + "PidMode", "host"),
    "hostname": ("me", "Hostname", "me"),
    "securityContext.runAsUser": (7, "User", "7"),
    "securityContext.seccompProfile.type": (
        "Unconfined", CONFIG + "SecurityOpt", ["seccomp=unconfined"],
    ),
    "securityContext.appArmorProfile.type": (
        "Unconfined", CONFIG + "SecurityOpt", ["apparmor=unconfined"],
    ),
    "securityContext.supplementalGroups": ([7, 8], CONFIG + "GroupAdd", ["7", "8"]),
    "shareProcessNamespace": (True, CONFIG + "Init", True),
    "terminationGracePeriodSeconds": (0, "StopTimeout", 0),
    MAIN + "args": (["a"], "Cmd", ["a"]),
    MAIN + "command": (["a"], "Entrypoint", ["a"]),
    MAIN + "env[].name": ("B", "Env", ["B=1"]),
    MAIN + "env[].value": ("2", "Env", ["A=2"]),
    MAIN + "image": ("j", "Image", "j"),
    MAIN + "lifecycle.stopSignal": ("SIGUSR1", "StopSignal", "SIGUSR1"),
    MAIN + "resources.limits.cpu": ("500m", CONFIG + "NanoCpus", 5 * 10**8),
    MAIN + "resources.limits.memory": ("1.5Ki", CONFIG + "Memory", 1536),
    MAIN + "resources.requests.cpu": (2, CONFIG + "CpuShares", 2048),
    MAIN + "resources.requests.memory": ("1Mi", CONFIG + "MemoryReservation", 2**20),
    MAIN + "securityContext.allowPrivilegeEscalation": (
        False, CONFIG + "SecurityOpt", ["no-new-privileges"],
    ),
    MAIN + "securityContext.capabilities.add": (["X"], CONFIG + "CapAdd", ["X"]),
    MAIN + "securityContext.capabilities.drop": (["X"], CONFIG + "CapDrop", ["X"]),
    MAIN + "securityContext.privileged": (True, CONFIG + "Privileged", True),
    MAIN + "securityContext.readOnlyRootFilesystem": (True, CONFIG + "ReadonlyRootfs", True),
    MAIN + "securityContext.runAsUser": (7, "User", "7"),
    MAIN + "securityContext.seccompProfile.type": (
        "Unconfined", CONFIG + "SecurityOpt", ["seccomp=unconfined"],
    ),
    MAIN + "securityContext.appArmorProfile.type": (
        "Unconfined", CONFIG + "SecurityOpt", ["apparmor=unconfined"],
    ),
    MAIN + "stdin": (True, "OpenStdin", True),
    MAIN + "tty": (True, "Tty", True),
    MAIN + "workingDir": ("/w", "WorkingDir", "/w"),
}  # fmt: skip
"""By path: a value, the field of the create request that it sets, and that field's value."""

MOUNTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "volumes[].hostPath.path": ("/other", {"Source": "/other"}),
    MAIN + "volumeMounts[].mountPath": ("/other", {"Target": "/other"}),
    MAIN + "volumeMounts[].readOnly": (True, {"ReadOnly": True}),
    MAIN + "volumeMounts[].mountPropagation": (
        "Bidirectional", {"BindOptions": {"Propagation": "rshared"}},
    ),
}  # fmt: skip
ELSEWHERE = {
    "dnsConfig.options[].value": "test_dns_settings_are_those_of_the_pod",
    "dnsPolicy": "test_dns_settings_are_those_of_the_pod",
    "hostAliases[].ip": "test_host_aliases_are_added",
    "hostAliases[].hostnames": "test_host_aliases_are_added",
    "schedulingGates[].name": "test_fence: a Pod is started when its gate is released",
    "securityContext.runAsGroup": "test_the_security_context_becomes_docker_options",
    "securityContext.runAsNonRoot": "test_unsupported_features_are_refused_by_name",
    "securityContext.sysctls[].name": "test_sysctls_are_set",
    "securityContext.sysctls[].value": "test_sysctls_are_set",
    "volumes[].name": "test_volumes_become_mounts",
    "volumes[].emptyDir.medium": "test_volumes_become_mounts",
    "volumes[].emptyDir.sizeLimit": "test_volumes_become_mounts, test_sizes",
    "volumes[].hostPath.type": "test_host_paths",
    "volumes[].persistentVolumeClaim.claimName": "test_volumes_become_mounts",
    "volumes[].persistentVolumeClaim.readOnly": "test_a_read_only_claim_is_mounted_read_only",
    MAIN + "env[].valueFrom.secretKeyRef.name": "test_a_secret_with_a_value_becomes_a_variable",
    MAIN + "env[].valueFrom.secretKeyRef.key": "test_a_secret_with_a_value_becomes_a_variable",
    MAIN + "env[].valueFrom.secretKeyRef.optional": "test_an_optional_secret_may_have_no_value",
    MAIN + "imagePullPolicy": "test_pull_policy",
    MAIN + "name": "LABEL_CONTAINER, read by the Airflow provider",
    MAIN + "securityContext.runAsGroup": "test_the_security_context_becomes_docker_options",
    MAIN + "securityContext.runAsNonRoot": "test_unsupported_features_are_refused_by_name",
    MAIN + "terminationMessagePath": "test_unreadable_logs, tests/engine",
    MAIN + "terminationMessagePolicy": "test_unreadable_logs",
    MAIN + "volumeMounts[].name": "test_volumes_become_mounts",
}
"""Tests of fields whose effect requires several values or is not in the create request."""


def test_every_honoured_field_has_a_test_of_its_effect() -> None:
    assert {*EFFECTS, *MOUNTS, *ELSEWHERE} == set(HONOURED)


@pytest.mark.parametrize("path", EFFECTS)
def test_honoured_fields_have_their_effect(path: str) -> None:
    value, where, expected = EFFECTS[path]
    assert body(copy_of(POD)).get("HostConfig", {}).get(where.rpartition(".")[2]) != expected
    assert at(body(placed(path, value)), where) == expected


@pytest.mark.parametrize("path", MOUNTS)
def test_honoured_fields_of_a_mount_have_their_effect(path: str) -> None:
    value, expected = MOUNTS[path]
    (mount,) = body(placed(path, value))["HostConfig"]["Mounts"]
    assert mount == {"Type": "bind", "Source": "/srv", "Target": "/v", "ReadOnly": False} | expected


@pytest.mark.parametrize(
    ("config", "dns"),
    [
        (
            {"dnsConfig": {"options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}},
            ([], [], ["ndots:2", "edns0"]),
        ),
        (
            {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["9.9.9.9"]}},
            (["9.9.9.9"], ["."], ["ndots:1"]),
        ),
        ({"dnsPolicy": "ClusterFirst"}, ([], [], [])),
    ],
)
def test_dns_settings_are_those_of_the_pod(
    config: dict[str, Any], dns: tuple[list[str], ...]
) -> None:
    host_config = body(copy_of(POD) | config)["HostConfig"]
    assert (host_config["Dns"], host_config["DnsSearch"], host_config["DnsOptions"]) == dns


def test_host_aliases_are_added() -> None:
    aliases = [{"ip": "10.0.0.1", "hostnames": ["a", "b"]}]
    host_config = body(copy_of(POD) | {"hostAliases": aliases})["HostConfig"]
    assert host_config["ExtraHosts"] == ["a:10.0.0.1", "b:10.0.0.1"]


def test_sysctls_are_set() -> None:
    context = {"sysctls": [{"name": "net.core.somaxconn", "value": "1024"}]}
    host_config = body(copy_of(POD) | {"securityContext": context})["HostConfig"]
    assert host_config["Sysctls"] == {"net.core.somaxconn": "1024"}


def test_an_optional_secret_may_have_no_value() -> None:
    reference = {"name": "db", "key": "password", "optional": True}
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": reference}}]
    assert body(placed(f"{MAIN}env", env))["Env"] == []


def test_an_empty_word_clears_the_entrypoint_and_an_empty_list_keeps_it() -> None:
    assert body(placed(f"{MAIN}command", [""]))["Entrypoint"] == []
    assert body(placed(f"{MAIN}command", []))["Entrypoint"] is None


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("fieldOfTomorrow", 1, "template.spec.fieldOfTomorrow"),
        (f"{MAIN}fieldOfTomorrow", {"a": 1}, "template.spec.containers[main].fieldOfTomorrow"),
        ("volumes[].hostPath.fieldOfTomorrow", 1, "volumes[v].hostPath.fieldOfTomorrow"),
        ("volumes[].kindOfTomorrow", {}, "volumes[v].kindOfTomorrow"),
        ("dnsPolicy", "None", "dnsConfig.nameservers"),
        ("dnsPolicy", "Other", "template.spec.dnsPolicy 'Other'"),
        (f"{MAIN}securityContext.seccompProfile", {"type": "Localhost"}, "write RuntimeDefault"),
        (f"{MAIN}args", "one text", "args is not supported on Docker: write a list"),
        (f"{MAIN}args", ["-n", 1], "write a list of strings"),
        (f"{MAIN}env[].value", 1, "env[A].value is not"),
        (f"{MAIN}securityContext.runAsUser", "1000", "whole number"),
        (f"{MAIN}tty", "yes", "write true or false"),
        ("terminationGracePeriodSeconds", -1, "0 or more"),
        ("schedulingGates", [{"name": "other"}], "schedulingGates[other].name"),
        ("volumes", {"name": "v"}, "write a list"),
        ("hostAliases", ["a"], "hostAliases[0]"),
    ],
)
def test_invalid_values_are_refused(path: str, value: Any, words: str) -> None:
    with pytest.raises(Unsupported, match=re.escape(words)):
        body(placed(path, value))


def test_propagation_is_supported_for_host_paths_only() -> None:
    spec = placed(f"{MAIN}volumeMounts[].mountPropagation", "HostToContainer")
    spec["volumes"] = [{"name": "v", "emptyDir": {}}]
    with pytest.raises(Unsupported, match="only a hostPath"):
        body(spec)


@pytest.mark.parametrize(
    "metadata",
    [
        {"annotations": {"container.apparmor.security.beta.kubernetes.io/main": "localhost/x"}},
        {"finalizers": ["example.com/other"]},
    ],
)
def test_unsupported_metadata_is_refused(metadata: dict[str, Any]) -> None:
    with pytest.raises(Unsupported, match=r"template\.metadata"):
        check_fields({"metadata": metadata, "spec": POD})
