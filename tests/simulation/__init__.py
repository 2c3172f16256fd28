"""A runtime without a cluster: what apiserver, scheduler and kubelet do, within one process.

It is small and honest rather than complete: what it does is what a real Kubernetes was seen to do,
and the behaviour suite (`tests/engine`) holds both to the same words. Time moves only when told
to, nothing runs in threads, and containers follow scripts instead of running programs.
"""

from tests.simulation.cluster import Cluster, Latency
from tests.simulation.engine import MemoryEngine, Request
from tests.simulation.kubelet import Execution
from tests.simulation.script import Script
from tests.simulation.store import Change, Kind

__all__ = ["Change", "Cluster", "Execution", "Kind", "Latency", "MemoryEngine", "Request", "Script"]
