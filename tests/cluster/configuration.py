"""What the components read from files. JSON throughout, which every reader of YAML takes."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster.node import Node
from tests.cluster.place import Place
from tests.cluster.slot import Slot

CNI_PLUGINS = "/usr/lib/cni"
PAUSE_IMAGE = "localhost/taskruns/pause:1"
READS_AND_WRITES = ("create", "update", "patch", "delete", "deletecollection", "get", "list")


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2) + "\n"


def kubeconfig(name: str, server: str, pki: Path, identity: str) -> str:
    """A self-contained kubeconfig: it can be copied, and outlives a move of its folder."""

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


def audit_policy() -> str:
    """Every call of whoever is not Kubernetes itself, and every call on Pods and TaskRuns.

    Tests count what a run costs the API and compare a role with what is really called: so a
    controller's calls are all here, whatever they are on, while the control plane's own leases
    and events are not. A watch is here once it has ended or was refused.
    """
    ours = [
        {"group": "", "resources": ["pods", "pods/*"]},
        {"group": "taskruns.dev", "resources": ["*"]},
    ]
    own_users = ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler"]
    own_groups = ["system:nodes", "system:serviceaccounts:kube-system"]
    rules: list[dict[str, Any]] = [
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


def scheduler(kubeconfig: Path) -> str:
    return _json(
        {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "leaderElection": {"leaderElect": False},
            "clientConnection": {"kubeconfig": str(kubeconfig)},
        }
    )


def cni(place: Place, slot: Slot) -> str:
    """The Pods' network: one bridge, whose own address is the node's."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": str(slot.pod_cidr)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(place.run / "cni"),
    }
    bridge = {"type": "bridge", "bridge": slot.handle, "isGateway": True, "ipam": addresses}
    return _json({"cniVersion": "1.0.0", "name": slot.handle, "plugins": [bridge]})


def containerd(node: Node) -> str:
    """An own root, state and socket leave a system's containerd alone."""
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
            # No DNS runs. An address that refuses fails a look-up at once, and spares each Pod
            # the event that says that there is none.
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
        # A spare node evicts what fills its disk: it is there to be left.
        "localStorageCapacityIsolation": bool(node.number),
    }


def _kubelet_taints(node: Node) -> dict[str, Any]:
    """Only Pods that say so go to a spare node."""
    key, value = node.label
    taint = {"key": key, "value": value, "effect": "NoSchedule"}
    return {"registerWithTaints": [taint]} if node.number else {}


def _kubelet_limits() -> dict[str, Any]:
    """Nothing here may slow a test down, evict its Pods or collect its images.

    registryPullQPS keeps the kubelet's default of 5, which runs have to bear.
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
