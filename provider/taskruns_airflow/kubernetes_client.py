"""Client of a cluster's namespace, with one shared watch per namespace and event loop."""

import asyncio
from collections.abc import Hashable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from taskruns_airflow.api import Api
from taskruns_airflow.client import Ref
from taskruns_airflow.identity import LABEL_TASK
from taskruns_airflow.shared_watch import OpenApi, SharedWatch

_shared_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, SharedWatch]] = (
    WeakKeyDictionary()
)
"""Shared watches of each event loop, one per cluster and namespace."""


@dataclass(frozen=True, slots=True)
class KubernetesClient:
    """Client of one namespace of a cluster."""

    open: OpenApi
    open_fresh: OpenApi
    """As `open`, but reads the Airflow connections again, because a shared watch may last weeks."""
    place: Hashable
    """Key of the cluster and namespace."""

    @property
    def unseen_advice(self) -> str:
        """Advice to check that a controller runs and watches the namespace."""
        return (
            "Check that the taskruns controller runs and watches this namespace: "
            "kubectl get pods -A -l app.kubernetes.io/name=taskruns, and its log"
        )

    def connect(self) -> AbstractAsyncContextManager[Api]:
        """Open a client."""
        return self.open()

    def watch(self, ref: Ref) -> SharedWatch:
        """Return a watch of one run."""
        return SharedWatch(self.open, {"fieldSelector": f"metadata.name={ref.name}"})

    def shared_watch(self) -> SharedWatch:
        """Return the watch of all runs of this namespace, shared within the event loop."""
        watches = _shared_watches.setdefault(asyncio.get_running_loop(), {})
        if self.place not in watches:
            watches[self.place] = SharedWatch(self.open_fresh, {"labelSelector": LABEL_TASK})
        return watches[self.place]
