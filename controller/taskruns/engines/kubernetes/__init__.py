"""The engine for a real cluster: the official client's asyncio half, plain JSON in and out."""

from taskruns.engines.kubernetes.connection import Connection, NoConfiguration, connect
from taskruns.engines.kubernetes.engine import KubernetesEngine

__all__ = ["Connection", "KubernetesEngine", "NoConfiguration", "connect"]
