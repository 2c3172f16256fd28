"""Somebody to the apiserver: a service account with a token of its own, bound to what it may do."""

from pathlib import Path

import yaml

from tests.cluster import Cluster
from tests.support.cluster.client import Kube


def account(
    cluster: Cluster, namespace: str, name: str, role: str = "", elsewhere: tuple[str, ...] = ()
) -> None:
    """Make a service account and bind a ClusterRole to it, in its namespace and in others."""
    cluster.kubectl("create", "serviceaccount", name, "-n", namespace)
    bound = (f"--clusterrole={role}", f"--serviceaccount={namespace}:{name}")
    for where in (namespace, *elsewhere) if role else ():
        cluster.kubectl("create", "rolebinding", name, "-n", where, *bound)


def as_account(cluster: Cluster, namespace: str, name: str, folder: Path) -> Kube:
    """A client with nothing but a service account's token; `folder` keeps its kubeconfig."""
    return Kube(kubeconfig_of(cluster, namespace, name, folder))


def kubeconfig_of(cluster: Cluster, namespace: str, name: str, folder: Path) -> Path:
    """Write a kubeconfig that has nothing but a service account's token."""
    token = cluster.kubectl("create", "token", name, "-n", namespace).stdout.strip()
    settings = yaml.safe_load(cluster.kubeconfig.read_text())
    for user in settings["users"]:
        user["user"] = {"token": token}
    kubeconfig = folder / f"{namespace}-{name}.kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(settings))
    return kubeconfig
