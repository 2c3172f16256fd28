"""Service accounts with their own tokens and role bindings."""

from pathlib import Path

import yaml

from tests.cluster import Cluster
from tests.support.cluster.client import Kube


def account(
    cluster: Cluster, namespace: str, name: str, role: str = "", elsewhere: tuple[str, ...] = ()
) -> None:
    """Create a service account; bind a ClusterRole to it in its namespace and in others."""
    cluster.kubectl("create", "serviceaccount", name, "-n", namespace)
    bound = (f"--clusterrole={role}", f"--serviceaccount={namespace}:{name}")
    for target in (namespace, *elsewhere) if role else ():
        cluster.kubectl("create", "rolebinding", name, "-n", target, *bound)


def as_account(cluster: Cluster, namespace: str, name: str, folder: Path) -> Kube:
    """Return a client that uses only a service account's token; `folder` gets its kubeconfig."""
    return Kube(kubeconfig_of(cluster, namespace, name, folder))


def kubeconfig_of(cluster: Cluster, namespace: str, name: str, folder: Path) -> Path:
    """Write a kubeconfig whose only credential is a service account's token."""
    token = cluster.kubectl("create", "token", name, "-n", namespace).stdout.strip()
    settings = yaml.safe_load(cluster.kubeconfig.read_text())
    for user in settings["users"]:
        user["user"] = {"token": token}
    kubeconfig = folder / f"{namespace}-{name}.kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(settings))
    return kubeconfig
