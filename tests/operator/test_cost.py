"""Cost of a run in requests to the apiserver, counted in its audit log."""

from collections.abc import Callable

import pytest

from tests.operator.conftest import Submit
from tests.support.cluster.audit import Audit, Request
from tests.support.cluster.client import Object
from tests.support.cluster.watch_recorder import WatchRecorder

pytestmark = pytest.mark.usefixtures("controller")

Ended = Callable[..., Object]

SHORT = [
    "create pods",
    "patch taskruns/status",  # the claim
    "patch pods",  # the gate
    "patch taskruns/status",  # the outcome
    "patch pods",  # the finalizer
    "delete pods",
]
LONGER = [*SHORT[:3], "patch taskruns/status", *SHORT[3:]]
EVENT = "create events"


def split(requests: list[Request]) -> tuple[list[str], list[str]]:
    """Split the requests into the run's own and those for its Events."""
    sent = [str(request) for request in requests]
    return [each for each in sent if each != EVENT], [each for each in sent if each == EVENT]


def test_a_run_of_under_a_second_costs_six_writes_two_events_and_no_read(
    submit: Submit, ended: Ended, audit: Audit, namespace: str
) -> None:
    ended(submit("true"))
    requests = audit.settled(namespace)
    assert split(requests) == (SHORT, [EVENT] * 2)
    assert {request.code for request in requests} <= {200, 201}


def test_a_longer_run_costs_one_write_and_one_event_more(
    submit: Submit, ended: Ended, audit: Audit, namespace: str
) -> None:
    ended(submit("sleep 3"))
    assert split(audit.settled(namespace)) == (LONGER, [EVENT] * 3)


def test_a_ttl_costs_one_write_more(
    submit: Submit, watch_recorder: WatchRecorder, audit: Audit, namespace: str
) -> None:
    uid = submit("true", ttlSecondsAfterFinished=2)["metadata"]["uid"]
    watch_recorder.wait(
        lambda: (last := watch_recorder.last(uid)) and (last.gone or None), 30, "it is gone"
    )
    assert split(audit.settled(namespace)) == ([*SHORT, "delete taskruns"], [EVENT] * 2)


def test_no_other_requests_are_sent_to_the_apiserver(
    submit: Submit, ended: Ended, audit: Audit
) -> None:
    """Between two runs there are only lists of the resync and watches, for the whole cluster."""
    for number in range(3):
        ended(submit("true", name=f"hello-{number}"))
    unscoped = [request for request in audit.requests() if not request.namespace]
    assert {str(request) for request in unscoped} <= {
        "list pods",
        "list taskruns",
        "watch pods",
        "watch taskruns",
    }


def test_kopf_writes_nothing_to_objects(
    submit: Submit, ended: Ended, watch_recorder: WatchRecorder
) -> None:
    run = ended(submit("sleep 2"))
    (pod,) = watch_recorder.pods_of(run["metadata"]["uid"])
    for version in (*watch_recorder.history(run["metadata"]["uid"]), *pod):
        metadata = version.found["metadata"]
        assert not [key for key in metadata.get("annotations") or () if "kopf" in key]
        assert set(metadata.get("finalizers") or ()) <= {"taskruns.dev/outcome"}
        assert "kopf" not in str(metadata.get("managedFields")).lower()


def test_owners_of_fields_are_recorded_neither_of_a_started_pod_nor_within_status(
    submit: Submit, ended: Ended, watch_recorder: WatchRecorder
) -> None:
    """The apiserver would read and compare these records at every write."""
    run = ended(submit("true"))
    owned = {
        owner["manager"]: owner["fieldsV1"].get("f:status")
        for owner in run["metadata"]["managedFields"]
        if owner.get("subresource") == "status"
    }
    assert list(owned.values()) == [{}]
    (pod,) = watch_recorder.pods_of(run["metadata"]["uid"])
    started = [each.found for each in pod if each.found["spec"].get("nodeName")]
    assert started
    assert not [each for each in started if each["metadata"].get("managedFields")]
