"""A namespace of a cluster as the place where TaskRuns are kept."""

import asyncio
from collections.abc import Hashable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from taskruns_airflow.api import Api
from taskruns_airflow.client import Ref
from taskruns_airflow.identity import LABEL_TASK
from taskruns_airflow.shared_watch import OpenApi, SharedWatch

_lookouts: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, SharedWatch]] = (
    WeakKeyDictionary()
)
"""One for each cluster and namespace in a triggerer."""


@dataclass(frozen=True, slots=True)
class KubernetesClient:
    """Requests to the apiserver, and watches of it."""

    open: OpenApi
    open_anew: OpenApi
    """As `open`, by what the Airflow connections say by then: a shared watch may last for weeks."""
    place: Hashable
    """What tells this cluster and namespace from others."""

    @property
    def unseen_advice(self) -> str:
        """Name what shows whether a controller runs and watches the namespace."""
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
        """Return the one watch of all runs here."""
        ours = _lookouts.setdefault(asyncio.get_running_loop(), {})
        if self.place not in ours:
            ours[self.place] = SharedWatch(self.open_anew, {"labelSelector": LABEL_TASK})
        return ours[self.place]
