"""Configuration files of the components, as JSON, which YAML parsers accept."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster.node import Node
from tests.cluster.place import Place
from tests.cluster.slot import Slot
from tests.cluster.tuning import Tuning

CNI_PLUGINS = "/usr/lib/cni"
PAUSE_IMAGE = "localhost/taskruns/pause:1"
WRITES = ("create", "update", "patch", "delete", "deletecollection")
READS_AND_WRITES = (*WRITES, "get", "list")


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2) + "\n"


def kubeconfig(name: str, server: str, pki: Path, identity: str) -> str:
    """Return a self-contained kubeconfig, which remains valid when it is copied or moved."""

    def data(file: str) -> str:
        return base64.b64encode((pki / file).read_bytes()).decode()

    client = {
        "client-certificate-data": data(f"{identity}.crt"),
        "client-key-data": data(f"{identity}.key"),
    }
    cluster = {"server": server, "certificate-authority-data": data("ca.crt")}
    return _json(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": identity, "user": client}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": identity}}],
            "current-context": name,
        }
    )


def audit_policy(*, objects: bool = False) -> str:
    """Return a policy that records all requests of clients, and all requests on Pods and TaskRuns.

    With `objects`, a write to these is recorded with the object that the apiserver has stored.

    Tests count the requests of a run, and compare a role with the requests that are actually made.
    All requests of a controller are therefore recorded, but not the leases and events of the
    control plane. A watch is recorded when it ends or is refused.
    """
    ours = [
        {"group": "", "resources": ["pods", "pods/*"]},
        {"group": "taskruns.dev", "resources": ["*"]},
    ]
    stored = {"level": "RequestResponse", "verbs": [*WRITES], "omitManagedFields": True}
    own_users = ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler"]
    own_groups = ["system:nodes", "system:serviceaccounts:kube-system"]
    rules: list[dict[str, Any]] = [
        *([{**stored, "resources": ours}] if objects else ()),
        {"level": "Metadata", "verbs": [*READS_AND_WRITES], "resources": ours},
        {"level": "None", "users": own_users},
        {"level": "None", "userGroups": own_groups},
        {"level": "None", "nonResourceURLs": ["*"]},
        {"level": "Metadata", "verbs": [*READS_AND_WRITES, "watch"]},
        {"level": "None"},
    ]
    stages = ["RequestReceived", "ResponseStarted"]
    kind = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy"}
    return _json({**kind, "omitStages": stages, "rules": rules})


def scheduler(kubeconfig: Path, tuning: Tuning) -> str:
    return _json(
        {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "leaderElection": {"leaderElect": False},
            "clientConnection": {"kubeconfig": str(kubeconfig), **tuning.scheduler_connection()},
        }
    )


def cni(place: Place, slot: Slot) -> str:
    """Return the Pods' network: a bridge, whose address is also the node's."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": str(slot.pod_cidr)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(place.run / "cni"),
    }
    bridge = {"type": "bridge", "bridge": slot.handle, "isGateway": True, "ipam": addresses}
    return _json({"cniVersion": "1.0.0", "name": slot.handle, "plugins": [bridge]})


def containerd(node: Node) -> str:
    """Return a configuration with its own root, state and socket, separate from the system's."""
    cri = '[plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "{node.containerd}/root"
state = "{node.state}"
[grpc]
address = "{node.socket}"
{cri}]
sandbox_image = "{PAUSE_IMAGE}"
# Without CAP_SYS_RESOURCE the score may not be lowered, and runc ends with an obscure EOF.
restrict_oom_score_adj = true
# Namespaces of Pods below the state folder, where `down` finds them.
netns_mounts_under_state_dir = true
{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
{cri}.containerd.runtimes.runc.options]
Root = "{node.containerd}/runc"
SystemdCgroup = false
{cri}.cni]
bin_dir = "{CNI_PLUGINS}"
conf_dir = "{node.place.config}/cni"
"""


def kubelet(node: Node) -> str:
    return _json(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            **_kubelet_access(node),
            **_kubelet_groups(node),
            **_kubelet_limits(),
            **_kubelet_taints(node),
            "containerRuntimeEndpoint": f"unix://{node.socket}",
            "podLogsDir": str(node.logs),
            # There is no DNS. An address that refuses connections lets a look-up fail at once, and
            # avoids an Event on each Pod about missing DNS.
            "clusterDNS": [str(node.slot.gateway)],
            "clusterDomain": "cluster.local",
            "makeIPTablesUtilChains": False,
        }
    )


def _kubelet_access(node: Node) -> dict[str, Any]:
    pki, slot, identity = node.place.pki, node.slot, node.own("kubelet")
    return {
        "address": str(slot.gateway),
        "port": slot.port(identity),
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": slot.port(node.own("kubelet-health")),
        "tlsCertFile": str(pki / f"{identity}.crt"),
        "tlsPrivateKeyFile": str(pki / f"{identity}.key"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "AlwaysAllow"},
    }


def _kubelet_groups(node: Node) -> dict[str, Any]:
    return {
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.slot.handle}/{node.pods_group}",
        "failCgroupV1": False,
        "enforceNodeAllocatable": [],
        "oomScoreAdj": 0,
        "failSwapOn": False,
        # A spare node evicts Pods that fill its disk, so that tests can cause evictions.
        "localStorageCapacityIsolation": bool(node.number),
    }


def _kubelet_taints(node: Node) -> dict[str, Any]:
    """Return the taint of a spare node, which keeps out Pods without a toleration."""
    key, value = node.label
    taint = {"key": key, "value": value, "effect": "NoSchedule"}
    return {"registerWithTaints": [taint]} if node.number else {}


def _kubelet_limits() -> dict[str, Any]:
    """Return limits that neither slow tests down, nor evict their Pods, nor delete their images.

    registryPullQPS keeps the kubelet's default of 5, which runs must cope with.
    """
    return {
        "maxPods": 250,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "eventRecordQPS": 0,
        "volumeStatsAggPeriod": "-1s",
        "evictionHard": {
            "memory.available": "50Mi",
            "nodefs.available": "50Mi",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "50Mi",
            "imagefs.inodesFree": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }
