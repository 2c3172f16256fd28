"""Settings of the control plane in which a benchmark or a session of chaos differs from a test.

They are recorded in the cluster's folder, because components are derived from it. A cluster without
a record has Kubernetes' defaults and an audit log.
"""

import json
from dataclasses import asdict, dataclass

from tests.cluster.place import Place

LIFTED_QPS = 5000
"""Client limit (queries per second, and burst) that no workload on one machine reaches."""
LIFTED_JOB_SYNCS = 32
TUNED = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""Components whose arguments depend on the settings."""


@dataclass(frozen=True)
class Tuning:
    """Settings of the control plane."""

    audit: bool = True
    """Whether the apiserver writes the audit log, which tests count requests in."""
    audit_objects: bool = False
    """Whether the audit log contains every version of each Pod and TaskRun that was written."""
    client_limits: bool = True
    """Whether controller-manager and scheduler have their default limits: 20 and 50 requests/s."""

    @classmethod
    def read(cls, place: Place) -> "Tuning":
        """Return the recorded settings of a cluster, or the defaults."""
        return cls(**json.loads(place.tuning.read_text())) if place.tuning.exists() else cls()

    def record(self, place: Place) -> None:
        place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.tuning.write_text(json.dumps(asdict(self)) + "\n")

    def controller_manager_flags(self) -> tuple[str, ...]:
        """Return the flags of kube-controller-manager for these settings."""
        if self.client_limits:
            return ()
        return (
            f"--kube-api-qps={LIFTED_QPS}",
            f"--kube-api-burst={LIFTED_QPS}",
            f"--concurrent-job-syncs={LIFTED_JOB_SYNCS}",
        )

    def scheduler_connection(self) -> dict[str, int]:
        """Return fields of the scheduler's `clientConnection` for these settings."""
        return {} if self.client_limits else {"qps": LIFTED_QPS, "burst": LIFTED_QPS}
