"""Report sections that explain a failed scenario, collected while its objects still exist."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from tests.support.cluster.client import EVENTS, NAMESPACES, Kube, Object
from tests.support.cluster.installation import Installation
from tests.support.cluster.run import Run
from tests.support.cluster.watch_recorder import WatchRecorder

_SHORT = 6000


def add_sections(report: pytest.TestReport, fixtures: Mapping[str, Any]) -> None:
    """Add sections to a failure's report; a part that cannot be read is left out."""
    run, kube = fixtures.get("run"), fixtures.get("kube")
    if isinstance(run, Run):
        _add(report, f"TaskRun {run.name}: {' -> '.join(run.phases())}", _yaml(run.seen()))
        for history in run.pods():
            name = history[0].found["metadata"]["name"]
            _add(report, f"Pod {name}{', gone' * history[-1].gone}", _yaml(history[-1].found))
        if isinstance(kube, Kube):
            _add(report, f"Events in {run.namespace}", _events(kube, run))
    installation = fixtures.get("installation")
    if installation is not None:
        _add(report, f"Controller ({installation.name})", _log(installation))


def await_namespaces_gone(kube: Kube, watch_recorder: WatchRecorder) -> None:
    """Wait until the scenarios' namespaces are gone; the controller must not block that.

    Raises:
        TooLate: a namespace is still terminating.
    """

    def leaving() -> bool | None:
        namespaces = kube.list(NAMESPACES)
        return None if any("deletionTimestamp" in n["metadata"] for n in namespaces) else True

    watch_recorder.wait(leaving, 120, "the scenarios' namespaces are gone")


def _add(report: pytest.TestReport, title: str, text: str) -> None:
    report.sections.append((title, text))


def _yaml(found: Object) -> str:
    metadata = {k: v for k, v in found["metadata"].items() if k != "managedFields"}
    return yaml.safe_dump({**found, "metadata": metadata}, sort_keys=False)[:_SHORT]


def _events(kube: Kube, run: Run) -> str:
    events = kube.list(EVENTS, run.namespace)
    related = [event for event in events if event["involvedObject"]["name"].startswith(run.name)]
    return "\n".join(
        f"{event['involvedObject']['name']} {event['reason']}: {event.get('message', '')}"
        for event in related
    )


def _log(installation: Installation) -> str:
    try:
        return installation.log_tail()
    except Exception as error:  # noqa: BLE001 - a report must not hide the failure
        return f"not to be had: {error}"
