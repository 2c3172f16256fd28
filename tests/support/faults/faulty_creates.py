"""Faults for the creates of those TaskRuns that request one by a label."""

import json
from typing import Any

from taskruns.api import names
from tests.support.faults.fault_proxy import Fault, ProxiedRequest

FAULT_PROXY = "fault-proxy"
"""ID of the Airflow connection that goes through the proxy."""

_LABEL = "fault"


def with_fault(fault: Fault) -> dict[str, Any]:
    """Return the arguments of a task whose creates get this fault."""
    return {"taskruns_conn_id": FAULT_PROXY, "labels": {_LABEL: fault.name}}


class FaultyCreates:
    """Fault function of a proxy: fail the first create of a TaskRun, or each one for HELD."""

    def __init__(self) -> None:
        self.met: set[str] = set()
        """Names of the TaskRuns that have had their fault."""

    def __call__(self, request: ProxiedRequest) -> Fault | None:
        if request.method != "POST" or not _is_of_runs(request.path):
            return None
        metadata = json.loads(request.body)["metadata"]
        fault = metadata["labels"].get(_LABEL)
        if fault is None or (metadata["name"] in self.met and fault != Fault.HELD.name):
            return None
        self.met.add(metadata["name"])
        return Fault[fault]


def _is_of_runs(path: str) -> bool:
    return path.partition("?")[0].endswith(f"/{names.PLURAL}")
