"""The CustomResourceDefinition of the TaskRun, applied to the test cluster."""

from pathlib import Path

from tests.cluster import Cluster
from tests.cluster.deadline import wait_until

DEFINITION = Path(__file__).resolve().parents[3] / "crds/taskruns.yaml"
_SECONDS_TO_SERVE = 30


def serve_definition(cluster: Cluster) -> None:
    """Apply the CRD and wait until the apiserver serves TaskRuns.

    The apiserver serves an established CRD only after a short delay; until then it answers 404.
    """
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(DEFINITION))
    wait_until(
        lambda: cluster.kubectl("get", "taskruns", check=False).returncode == 0,
        within=_SECONDS_TO_SERVE,
        condition="the apiserver to serve TaskRuns",
    )
