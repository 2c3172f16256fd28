from collections.abc import Mapping
from typing import Any

import pytest

from taskruns.api.v1alpha1 import TaskRun
from taskruns.core.pods import build_pod
from taskruns.engines.docker.container import LABEL_POD_UID, Secrets, container_of
from taskruns.engines.docker.fields import Unsupported
from tests.support.builders.objects import a_run


def container(secrets: Secrets | None = None, **spec: Any) -> dict[str, Any]:
    pod = build_pod(TaskRun.model_validate(a_run(**spec)), 1)
    pod["metadata"]["uid"] = "pod-1"
    return container_of(pod, secrets or Secrets())


def refusal(**spec: Any) -> str:
    with pytest.raises(Unsupported) as caught:
        container(**spec)
    return str(caught.value)


def test_a_container_is_identified_by_its_labels() -> None:
    labels = container()["Labels"]
    assert labels[LABEL_POD_UID] == "pod-1"
    assert labels["taskruns.dev/attempt"] == "1"
    assert labels["taskruns.dev/namespace"] == "default"


def test_command_and_arguments_replace_entrypoint_and_command() -> None:
    body = container(command=["sh", "-c"], args=["echo $(WHO) $$(WHO) $(NOBODY)"],
                     env=[{"name": "WHO", "value": "me"}])  # fmt: skip
    assert body["Entrypoint"] == ["sh", "-c"]
    assert body["Cmd"] == ["echo me $(WHO) $(NOBODY)"]


def test_missing_fields_default_to_the_image() -> None:
    body = container()
    assert (body["Entrypoint"], body["Cmd"], body["WorkingDir"]) == (None, None, "")


def test_variables_keep_their_order_and_may_use_earlier_ones() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2"}]
    variables = container(Secrets(env={"A": "0", "Z": "9"}), env=env)["Env"]
    assert "TASKRUN_ATTEMPT=1" in variables
    assert [line for line in variables if line[0] in "ABZ"] == ["A=1", "Z=9", "B=12"]


def test_a_secret_with_a_value_becomes_a_variable() -> None:
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]
    assert (
        "KEY=s3cret" in container(Secrets(secrets={("db", "password"): "s3cret"}), env=env)["Env"]
    )


def test_limits_become_docker_limits() -> None:
    limits = {"cpu": "1500m", "memory": "512Mi"}
    config = container(resources={"limits": limits, "requests": {"cpu": 0.5}})["HostConfig"]
    assert config["NanoCpus"] == 1_500_000_000
    assert config["Memory"] == config["MemorySwap"] == 512 * 2**20
    assert config["CpuShares"] == 512


@pytest.mark.parametrize(
    ("volume", "mount"),
    [
        ({"emptyDir": {}}, {"Type": "volume", "VolumeOptions": {"NoCopy": True}}),
        (
            {"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"Type": "tmpfs", "TmpfsOptions": {"SizeBytes": 2**20}},
        ),
        ({"hostPath": {"path": "/srv/data"}}, {"Type": "bind", "Source": "/srv/data"}),
        (
            {"persistentVolumeClaim": {"claimName": "sales"}},
            {"Type": "volume", "Source": "sales"},
        ),
    ],
    ids=["emptyDir", "in memory", "hostPath", "by name"],
)
def test_volumes_become_mounts(volume: Mapping[str, Any], mount: Mapping[str, Any]) -> None:
    body = container(
        volumes=[{"name": "data", **volume}],
        volumeMounts=[{"name": "data", "mountPath": "/data", "readOnly": True}],
    )
    assert body["HostConfig"]["Mounts"] == [{"Target": "/data", "ReadOnly": True, **mount}]


def joining(network: str, **spec: Any) -> dict[str, Any]:
    annotations = {"docker.taskruns.dev/network": network}
    return {"template": {"metadata": {"annotations": annotations}, "spec": spec}}


@pytest.mark.parametrize(
    ("spec", "network"),
    [
        ({}, "default"),
        (joining("shop_default"), "shop_default"),
        (joining("none"), "none"),
        (joining("shop", hostNetwork=True), "host"),
    ],
)
def test_a_named_network_is_joined(spec: dict[str, Any], network: str) -> None:
    assert container(**spec)["HostConfig"]["NetworkMode"] == network


def test_a_read_only_claim_is_mounted_read_only() -> None:
    body = container(
        volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "d", "readOnly": True}}],
        volumeMounts=[{"name": "d", "mountPath": "/d"}],
    )
    (mount,) = body["HostConfig"]["Mounts"]
    assert mount["ReadOnly"] is True


def test_the_security_context_becomes_docker_options() -> None:
    body = container(
        securityContext={
            "runAsUser": 1000,
            "runAsGroup": 100,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
        }
    )
    config = body["HostConfig"]
    assert body["User"] == "1000:100"
    assert config["ReadonlyRootfs"]
    assert config["SecurityOpt"] == ["no-new-privileges"]
    assert (config["CapDrop"], config["CapAdd"]) == (["ALL"], ["NET_ADMIN"])


def test_the_grace_period_is_that_of_the_pod() -> None:
    assert container()["StopTimeout"] == 30
    assert container(template={"spec": {"terminationGracePeriodSeconds": 3}})["StopTimeout"] == 3


SECRET = {"valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"serviceAccountName": "me"}, ("serviceAccountName", "cluster")),
        ({"nodeSelector": {"a": "b"}}, ("nodeSelector", "cluster")),
        ({"priorityClassName": "high"}, ("priorityClassName", "leave it out")),
        ({"imagePullSecrets": [{"name": "r"}]}, ("imagePullSecrets", "docker login")),
        ({"envFrom": [{"secretRef": {"name": "s"}}]}, ("envFrom", "--env-file")),
        ({"env": [{"name": "KEY", **SECRET}]}, ("KEY", "db/password", "--secret")),
        (
            {"env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]},
            ("IP", "fieldRef"),
        ),
        ({"resources": {"limits": {"nvidia.com/gpu": 1}}}, ("nvidia.com/gpu",)),
        ({"resources": {"limits": {"memory": "512MB"}}}, ("512MB", "512Mi")),
        ({"volumes": [{"name": "c", "configMap": {"name": "c"}}]}, ("configMap", "hostPath")),
        (joining("container:db"), ("docker.taskruns.dev/network", "the name of a network")),
        ({"volumeMounts": [{"name": "x", "mountPath": "/x"}]}, ("x", "volumes")),
        (
            {
                "volumes": [{"name": "tmp", "emptyDir": {}}],
                "volumeMounts": [{"name": "tmp", "mountPath": path} for path in ("/a", "/b")],
            },
            ("volume tmp", "mount it once"),
        ),
        ({"securityContext": {"runAsNonRoot": True}}, ("runAsNonRoot", "runAsUser")),
        ({"securityContext": {"procMount": "Unmasked"}}, ("procMount",)),
        (
            {"template": {"spec": {"initContainers": [{"name": "i", "image": "i"}]}}},
            ("initContainers", "cluster"),
        ),
        (
            {"template": {"spec": {"containers": [{"name": "main"}, {"name": "b", "image": "b"}]}}},
            ("more than the main container",),
        ),
        ({"template": {"spec": {"activeDeadlineSeconds": 5}}}, ("activeDeadlineSeconds",)),
        (
            {"template": {"spec": {"containers": [{"name": "main", "livenessProbe": {"a": 1}}]}}},
            ("livenessProbe",),
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_unsupported_features_are_refused_by_name(
    spec: dict[str, Any], words: tuple[str, ...]
) -> None:
    message = refusal(**spec)
    assert "not supported on Docker" in message
    assert all(word in message for word in words)
