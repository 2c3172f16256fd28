"""Faults for the creates of those TaskRuns that request one by a label."""

import json
from typing import Any

from taskruns.api import names
from tests.support.faults.fault_proxy import Harm, Passing

DETOUR = "detour"
"""ID of the Airflow connection that goes through the proxy."""

_LABEL = "harm"


def harmed(harm: Harm) -> dict[str, Any]:
    """Return the arguments of a task whose creates get this fault."""
    return {"taskruns_conn_id": DETOUR, "labels": {_LABEL: harm.name}}


class HarmedCreates:
    """Fault function of a proxy: harm a TaskRun's first create, or every one for HELD."""

    def __init__(self) -> None:
        self.met: set[str] = set()
        """Names of the TaskRuns that have had their fault."""

    def __call__(self, passing: Passing) -> Harm | None:
        if passing.method != "POST" or not _is_of_runs(passing.path):
            return None
        metadata = json.loads(passing.body)["metadata"]
        harm = metadata["labels"].get(_LABEL)
        if harm is None or (metadata["name"] in self.met and harm != Harm.HELD.name):
            return None
        self.met.add(metadata["name"])
        return Harm[harm]


def _is_of_runs(path: str) -> bool:
    return path.partition("?")[0].endswith(f"/{names.PLURAL}")
