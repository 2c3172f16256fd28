"""What the components read from files. JSON throughout, which every reader of YAML takes."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
    and events are not.
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
        {"level": "Metadata", "verbs": [*READS_AND_WRITES]},
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


def containerd(place: Place) -> str:
    """An own root, state and socket leave a system's containerd alone."""
    cri = '[plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "{place.containerd}/root"
state = "{place.containerd}/state"
[grpc]
address = "{place.socket}"
{cri}]
sandbox_image = "{PAUSE_IMAGE}"
# Without CAP_SYS_RESOURCE the score may not be lowered, and runc ends with an obscure EOF.
restrict_oom_score_adj = true
# Namespaces of Pods below the state folder, where `down` finds them.
netns_mounts_under_state_dir = true
{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
{cri}.containerd.runtimes.runc.options]
Root = "{place.containerd}/runc"
SystemdCgroup = false
{cri}.cni]
bin_dir = "{CNI_PLUGINS}"
conf_dir = "{place.config}/cni"
"""


def kubelet(place: Place, slot: Slot) -> str:
    return _json(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            **_kubelet_access(place, slot),
            **_kubelet_groups(slot),
            **_kubelet_limits(),
            "containerRuntimeEndpoint": f"unix://{place.socket}",
            "podLogsDir": str(place.log / "pods"),
            # No DNS runs. An address that refuses fails a look-up at once, and spares each Pod
            # the event that says that there is none.
            "clusterDNS": [str(slot.gateway)],
            "clusterDomain": "cluster.local",
            "makeIPTablesUtilChains": False,
        }
    )


def _kubelet_access(place: Place, slot: Slot) -> dict[str, Any]:
    return {
        "address": str(slot.gateway),
        "port": slot.port("kubelet"),
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": slot.port("kubelet-health"),
        "tlsCertFile": str(place.pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(place.pki / "kubelet.key"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(place.pki / "ca.crt")},
        },
        "authorization": {"mode": "AlwaysAllow"},
    }


def _kubelet_groups(slot: Slot) -> dict[str, Any]:
    return {
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{slot.handle}/pods",
        "failCgroupV1": False,
        "enforceNodeAllocatable": [],
        "oomScoreAdj": 0,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
    }


def _kubelet_limits() -> dict[str, Any]:
    """Nothing here may slow a test down, evict its Pods or collect its images."""
    return {
        "maxPods": 250,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "eventRecordQPS": 0,
        "registryPullQPS": 0,
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
