"""The components of a cluster as commands, derived from its folder and its slot only."""

from pathlib import Path

from tests.cluster import configuration
from tests.cluster.node import Node
from tests.cluster.place import Place
from tests.cluster.slot import SERVICE_CIDR, Slot
from tests.cluster.supervisor import Component
from tests.cluster.tuning import Tuning

NAMES = (
    "etcd",
    "containerd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
)
KWOK = "kwok"
"""Component of a cluster with a simulated node."""
LOOPBACK = "127.0.0.1"


def component(name: str, place: Place, slot: Slot) -> Component:
    """Return a component by name: one of NAMES, KWOK, or one of a spare node."""
    make = {
        "etcd": etcd,
        "kube-apiserver": apiserver,
        "kube-controller-manager": controller_manager,
        "kube-scheduler": scheduler,
        KWOK: kwok,
    }
    node = node_of(name, place, slot)
    of_a_node = {node.own("containerd"): containerd, node.own("kubelet"): kubelet}
    return of_a_node[name](node) if name in of_a_node else make[name](place, slot)


def node_of(name: str, place: Place, slot: Slot) -> Node:
    """Return the node of a component; the names on a spare node end with its number."""
    number = name.rpartition("-")[2]
    return Node(place, slot, int(number) if number.isdecimal() else 0)


def client_config(place: Place, slot: Slot, identity: str) -> tuple[Path, str]:
    """Return the path and the content of a component's own kubeconfig."""
    path = place.config / f"{identity}.kubeconfig"
    return path, configuration.kubeconfig(identity, slot.server, place.pki, identity)


def etcd(place: Place, slot: Slot) -> Component:
    client, peer = (f"http://{LOOPBACK}:{slot.port(server)}" for server in ("etcd", "etcd-peer"))
    return Component(
        "etcd",
        (
            f"{place.bin}/etcd",
            f"--data-dir={place.etcd}",
            f"--name={place.name}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={place.name}={peer}",
            # Syncing would only help after a power loss, and writes are much faster without it.
            "--unsafe-no-fsync",
            "--log-level=warn",
        ),
    )


def apiserver(place: Place, slot: Slot) -> Component:
    policy, tuning = place.config / "audit-policy.json", Tuning.read(place)
    pki = place.pki
    return Component(
        "kube-apiserver",
        (
            f"{place.bin}/kube-apiserver",
            f"--bind-address={slot.gateway}",
            f"--advertise-address={slot.gateway}",
            f"--secure-port={slot.port('apiserver')}",
            f"--etcd-servers=http://{LOOPBACK}:{slot.port('etcd')}",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged",
            f"--client-ca-file={pki}/ca.crt",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-certificate-authority={pki}/ca.crt",
            f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
            f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki}/service-account.pub",
            f"--service-account-signing-key-file={pki}/service-account.key",
            *(_audit(place, policy, tuning) if tuning.audit else ()),
        ),
        files={policy: configuration.audit_policy(objects=tuning.audit_objects)},
        grace=20,
    )


def _audit(place: Place, policy: Path, tuning: Tuning) -> tuple[str, ...]:
    return (
        f"--audit-policy-file={policy}",
        f"--audit-log-path={place.audit_log}",
        f"--audit-log-maxsize={2000 if tuning.audit_objects else 100}",
        "--audit-log-maxbackup=3",
    )


def controller_manager(place: Place, slot: Slot) -> Component:
    path, text = client_config(place, slot, "controller-manager")
    return Component(
        "kube-controller-manager",
        (
            f"{place.bin}/kube-controller-manager",
            f"--kubeconfig={path}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={slot.port('controllers')}",
            f"--cert-dir={place.run}/controller-manager",
            "--leader-elect=false",
            "--use-service-account-credentials",
            f"--root-ca-file={place.pki}/ca.crt",
            f"--service-account-private-key-file={place.pki}/service-account.key",
            *Tuning.read(place).controller_manager_flags(),
        ),
        files={path: text},
    )


def scheduler(place: Place, slot: Slot) -> Component:
    path, text = client_config(place, slot, "scheduler")
    config = place.config / "scheduler.json"
    return Component(
        "kube-scheduler",
        (
            f"{place.bin}/kube-scheduler",
            f"--config={config}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={slot.port('scheduler')}",
            f"--cert-dir={place.run}/scheduler",
        ),
        files={path: text, config: configuration.scheduler(path, Tuning.read(place))},
    )


def kwok(place: Place, slot: Slot) -> Component:
    path, text = client_config(place, slot, "admin")
    stages = place.config / "stages.yaml"
    return Component(
        KWOK,
        (
            f"{place.bin}/kwok",
            f"--kubeconfig={path}",
            f"--config={stages}",
            f"--manage-single-node={place.simulated_node}",
            f"--node-ip={slot.gateway}",
        ),
        files={path: text, stages: place.stages.read_text()},
    )


def containerd(node: Node) -> Component:
    name, place = node.own("containerd"), node.place
    config = place.config / f"{name}.toml"
    network = place.config / "cni" / "10-bridge.conflist"
    return Component(
        name,
        ("containerd", f"--config={config}"),
        files={
            config: configuration.containerd(node),
            network: configuration.cni(place, node.slot),
        },
    )


def kubelet(node: Node) -> Component:
    name, place = node.own("kubelet"), node.place
    path, text = client_config(place, node.slot, name)
    config = place.config / f"{name}.json"
    labels = ("--node-labels={}={}".format(*node.label),) if node.number else ()
    return Component(
        name,
        (
            f"{place.bin}/kubelet",
            f"--config={config}",
            f"--kubeconfig={path}",
            f"--root-dir={node.kubelet}",
            f"--cert-dir={node.kubelet}/pki",
            f"--hostname-override={node.name}",
            f"--node-ip={node.slot.gateway}",
            "--v=2",
            *labels,
        ),
        files={path: text, config: configuration.kubelet(node)},
    )
