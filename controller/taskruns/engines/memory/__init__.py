"""A runtime without a cluster: what apiserver, scheduler and kubelet do, within one process.

It is small and honest rather than complete: what it does is what a real Kubernetes was seen to do,
and the behaviour suite (`tests/engine`) holds both to the same words. Time moves only when told
to, nothing runs in threads, and containers follow scripts instead of running programs.
"""

from taskruns.engines.memory.cluster import Cluster, Latency
from taskruns.engines.memory.engine import MemoryEngine, Request
from taskruns.engines.memory.kubelet import Execution
from taskruns.engines.memory.script import Script
from taskruns.engines.memory.store import Change, Kind

__all__ = ["Change", "Cluster", "Execution", "Kind", "Latency", "MemoryEngine", "Request", "Script"]
