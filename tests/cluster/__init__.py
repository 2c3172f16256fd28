"""A real Kubernetes cluster for tests and the demo: `from tests.cluster import Cluster`."""

from tests.cluster.cluster import Cluster
from tests.cluster.error import ClusterError

__all__ = ["Cluster", "ClusterError"]
