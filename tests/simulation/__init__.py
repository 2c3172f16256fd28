"""A simulated Kubernetes in one process: apiserver, scheduler, kubelet, garbage collector.

It is incomplete, but accurate in its parts: it does only what a real Kubernetes was observed to do,
and the behaviour suite (`tests/engine`) runs the same tests on both. Time advances only on request,
nothing runs in threads, and containers follow scripts instead of running programs.
"""

from tests.simulation.cluster import Cluster, Latency
from tests.simulation.engine import MemoryEngine, Request
from tests.simulation.kubelet import Execution
from tests.simulation.script import Script
from tests.simulation.store import Change, Kind

__all__ = ["Change", "Cluster", "Execution", "Kind", "Latency", "MemoryEngine", "Request", "Script"]
