"""Common parts of the benchmarks: the cluster, its watch and the command-line options."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import Cluster
from tests.support.cluster.client import Kube
from tests.support.cluster.watch_recorder import WatchRecorder

_DEFINITION = Path(__file__).parents[1] / "crds" / "taskruns.yaml"


@dataclass(frozen=True, slots=True)
class Ground:
    """A cluster with the CRD of TaskRuns, and a recorder of all changes on it."""

    cluster: Cluster
    kube: Kube
    watch_recorder: WatchRecorder


def cluster_with_definition(name: str) -> Cluster:
    """Return a running test cluster, with the CRD of this checkout applied."""
    cluster = Cluster(name)
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(_DEFINITION))
    return cluster


@contextmanager
def watched(name: str) -> Iterator[Ground]:
    """Watch a test cluster while the block runs."""
    cluster = cluster_with_definition(name)
    kube = Kube(cluster.kubeconfig)
    watch_recorder = WatchRecorder(kube)
    watch_recorder.start()
    try:
        yield Ground(cluster, kube, watch_recorder)
    finally:
        watch_recorder.stop()
        kube.close()


def options(name: str, text: str | None) -> argparse.ArgumentParser:
    """Return the argument parser of a benchmark, with the options `--cluster` and `--json`."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    chosen = os.environ.get("TASKRUNS_TEST_CLUSTER", "test")
    parser.add_argument(
        "--cluster", default=chosen, metavar="NAME", help=f"test cluster ({chosen})"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser
