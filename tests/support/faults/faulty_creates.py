"""Creates that come to harm on a detour, because a label of the TaskRun asks for it."""

import json
from typing import Any

from taskruns.api import names
from tests.support.faults.fault_proxy import Harm, Passing

DETOUR = "detour"
"""The Airflow connection that goes over it."""

_LABEL = "harm"


def harmed(harm: Harm) -> dict[str, Any]:
    """Return the arguments of a task whose creates are to come to harm."""
    return {"taskruns_conn_id": DETOUR, "labels": {_LABEL: harm.name}}


class HarmedCreates:
    """A detour's fate: a TaskRun's first create comes to harm, or each that is to be held."""

    def __init__(self) -> None:
        self.met: set[str] = set()
        """The TaskRuns to which it has happened, by name."""

    def __call__(self, passing: Passing) -> Harm | None:
        if passing.method != "POST" or not _is_of_runs(passing.path):
            return None
        metadata = json.loads(passing.body)["metadata"]
        told = metadata["labels"].get(_LABEL)
        if told is None or (metadata["name"] in self.met and told != Harm.HELD.name):
            return None
        self.met.add(metadata["name"])
        return Harm[told]


def _is_of_runs(path: str) -> bool:
    return path.partition("?")[0].endswith(f"/{names.PLURAL}")
