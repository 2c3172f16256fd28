"""The engine for a Kubernetes cluster, built on the asyncio part of the official client.

Requests and responses are plain JSON objects.
"""

from taskruns.engines.kubernetes.connection import Connection, NoConfiguration, connect
from taskruns.engines.kubernetes.engine import KubernetesEngine

__all__ = ["Connection", "KubernetesEngine", "NoConfiguration", "connect"]
