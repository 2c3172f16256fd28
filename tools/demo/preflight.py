"""Check, before anything else, of what `make demo` needs: kind, or root and Go.

All that is missing is listed at once, for each way to run a cluster.
"""

import shutil

from tests.cluster import Cluster, ClusterError
from tests.cluster.command import run
from tests.cluster.kind import KindDriver
from tests.cluster.local import LocalDriver

KIND = "by kind, on the Docker daemon of this machine"
LOCAL = "of local processes (built once, then cached)"
_WAYS = {KindDriver.name: KIND, LocalDriver.name: LOCAL}


def check(cluster: Cluster) -> str:
    """Return the name of the driver that the demo uses; a cluster that exists keeps its own.

    Raises:
        ClusterError: this machine can run neither; the message lists what is missing.
    """
    recorded = cluster.place.driver
    if recorded.exists():
        return recorded.read_text().strip()
    without_kind = KindDriver.obstacles()
    if not without_kind:
        return KindDriver.name
    without_local = LocalDriver.obstacles()
    if not without_local:
        return LocalDriver.name
    raise ClusterError(explain(without_kind, without_local, docker_answers=docker_answers()))


def describe(driver: str) -> str:
    """Return how a driver runs the cluster, as the end of a title."""
    return _WAYS.get(driver, f"by the driver {driver}")


def explain(kind: list[str], local: list[str], *, docker_answers: bool) -> str:
    """Return what is missing for each way, and what works without it."""
    lines = ["`make demo` needs one of these:"]
    for title, obstacles in (
        ("a cluster by kind; missing here:", kind),
        ("a cluster of local processes; missing here:", local),
    ):
        lines += [f"  - {title}", *(f"      {obstacle}" for obstacle in obstacles)]
    if docker_answers:
        lines.append("A Docker daemon is running: `make demo-docker` runs the same tasks on it.")
    else:
        lines.append(
            "Without a cluster, start a Docker daemon and run `make demo-docker`: it takes seconds."
        )
    return "\n".join(lines)


def docker_answers() -> bool:
    """Return whether the docker command reaches a daemon."""
    if not shutil.which("docker"):
        return False
    try:
        return run(["docker", "version"], within=10, check=False).returncode == 0
    except ClusterError:
        return False
