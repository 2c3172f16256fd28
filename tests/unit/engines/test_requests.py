"""Requests of the engine, byte for byte where it matters, and its reading of the responses."""

from collections.abc import Mapping
from typing import Any

import pytest

from taskruns.api import names
from taskruns.core.plan import PodRef
from taskruns.engines.engine import Conflict, EngineError, RunRef
from taskruns.engines.kubernetes import endpoints
from taskruns.engines.kubernetes.endpoints import Endpoint
from taskruns.engines.kubernetes.engine import KubernetesEngine
from taskruns.engines.kubernetes.responses import Response

POD = PodRef("team", "hello-1", "uid-1")
RUN = RunRef("team", "hello", "uid-0")
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
THE_POD = {"kind": "Pod", "metadata": {"uid": "uid-1"}}
ANOTHER = {"kind": "Pod", "metadata": {"uid": "uid-2"}}


class Wire:
    """A fake connection: it records requests, and responds from a list."""

    def __init__(self, *answers: Response) -> None:
        self._answers = list(answers)
        self.sent: list[tuple[Endpoint, str, Any, Mapping[str, Any]]] = []

    async def send(self, call: Endpoint, path: str, body: Any = None, **how: Any) -> Response:
        self.sent.append((call, path, body, how))
        return self._answers.pop(0)

    @property
    def engine(self) -> KubernetesEngine:
        return KubernetesEngine(self)  # type: ignore[arg-type]


def test_every_endpoint_is_in_a_permission_table() -> None:
    made = {value for value in vars(endpoints).values() if isinstance(value, Endpoint)}
    people = endpoints.CLIENT_CALLS | endpoints.CURIOUS_CALLS
    controller = endpoints.CALLS | endpoints.CLEANUP_CALLS | endpoints.LEASE_CALLS
    assert made == controller | people


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (endpoints.GET_POD, "/api/v1/namespaces/team/pods/hello-1"),
        (endpoints.GET_RUN, "/apis/taskruns.dev/v1alpha1/namespaces/team/taskruns/hello-1"),
        (
            endpoints.PATCH_RUN_STATUS,
            "/apis/taskruns.dev/v1alpha1/namespaces/team/taskruns/hello-1/status",
        ),
    ],
)
def test_an_object_is_found_at_its_path(call: Endpoint, path: str) -> None:
    assert call.path("team", "hello-1") == path


def test_all_namespaces_are_listed_at_once() -> None:
    assert endpoints.LIST_PODS.path() == "/api/v1/pods"
    assert endpoints.CREATE_POD.path("team") == "/api/v1/namespaces/team/pods"


async def test_a_pod_is_created_with_strict_validation() -> None:
    wire = Wire(Response(201, THE_POD))
    manifest = {"metadata": {"namespace": "team", "name": "hello-1"}}
    assert await wire.engine.create_pod(manifest) == THE_POD
    assert wire.sent == [
        (
            endpoints.CREATE_POD,
            "/api/v1/namespaces/team/pods",
            manifest,
            {"query": {"fieldValidation": "Strict"}},
        )
    ]


async def test_patches_of_a_pod_contain_its_uid() -> None:
    wire = Wire(*[Response(200, THE_POD)] * 3)
    await wire.engine.release_gate(POD)
    await wire.engine.stop_pod(POD)
    await wire.engine.release_pod(POD)
    assert [body for _, _, body, _ in wire.sent] == [
        {
            "metadata": {"uid": "uid-1", "managedFields": [{}]},
            "spec": {"schedulingGates": [{"$patch": "delete", "name": names.GATE_CLAIM}]},
        },
        {"metadata": {"uid": "uid-1"}, "spec": {"activeDeadlineSeconds": 1}},
        {
            "metadata": {
                "uid": "uid-1",
                "$deleteFromPrimitiveList/finalizers": [names.FINALIZER_OUTCOME],
            }
        },
    ]
    assert {how["content_type"] for _, _, _, how in wire.sent} == {STRATEGIC}


async def test_a_status_is_merged_with_uid_and_version() -> None:
    wire = Wire(Response(200, {"kind": "TaskRun", "metadata": {}}))
    await wire.engine.write_status(RUN, {"metadata": {"resourceVersion": "7"}, "status": {"a": 1}})
    ((call, _, body, how),) = wire.sent
    assert call == endpoints.PATCH_RUN_STATUS
    assert body == {"metadata": {"resourceVersion": "7", "uid": "uid-0"}, "status": {"a": 1}}
    assert how == {"content_type": MERGE}


async def test_deletions_have_preconditions() -> None:
    gone = Response(200, {"kind": "Status", "status": "Success"})
    wire = Wire(gone, gone, gone)
    assert await wire.engine.delete_pod(POD) is None
    assert await wire.engine.delete_pod(POD, "5") is None
    assert await wire.engine.delete_run(RUN, "9") is None
    assert [body for _, _, body, _ in wire.sent] == [
        {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "uid-1"}},
        {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": "uid-1", "resourceVersion": "5"},
        },
        {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": "uid-0", "resourceVersion": "9"},
            "propagationPolicy": "Background",
        },
    ]


@pytest.mark.parametrize("code", [409, 422])
async def test_another_pod_of_the_name_means_deleted(code: int) -> None:
    wire = Wire(Response(code), Response(200, ANOTHER))
    assert await wire.engine.release_gate(POD) is None
    assert [call for call, *_ in wire.sent] == [endpoints.PATCH_POD, endpoints.GET_POD]


async def test_a_conflict_on_the_same_pod_is_a_conflict() -> None:
    with pytest.raises(Conflict):
        await Wire(Response(409), Response(200, THE_POD)).engine.delete_pod(POD, "5")


async def test_a_pod_that_cannot_be_patched_does_not_count_as_deleted() -> None:
    wire = Wire(Response(422, {"message": "is invalid"}), Response(200, THE_POD))
    with pytest.raises(EngineError, match="is invalid"):
        await wire.engine.stop_pod(POD)


async def test_a_404_means_deleted() -> None:
    async def gone(request: Any) -> None:
        assert await request is None

    engine = Wire(*[Response(404)] * 8).engine
    await gone(engine.read_run("team", "hello"))
    await gone(engine.read_pod("team", "hello-1"))
    await gone(engine.write_status(RUN, {"metadata": {}, "status": {}}))
    await gone(engine.release_gate(POD))
    await gone(engine.stop_pod(POD))
    await gone(engine.release_pod(POD))
    await gone(engine.delete_pod(POD))
    await gone(engine.delete_run(RUN, "1"))


def terminating(**metadata: Any) -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"deletionTimestamp": "2026-01-01T12:00:00Z", **metadata}}


@pytest.mark.parametrize(
    ("answer", "gone"),
    [
        (terminating(deletionGracePeriodSeconds=0), True),
        (terminating(deletionGracePeriodSeconds=30), False),
        (terminating(deletionGracePeriodSeconds=0, finalizers=["x/y"]), False),
        (terminating(), False),
        (THE_POD, False),
    ],
)
async def test_the_response_to_a_removal_means_deleted(answer: dict[str, Any], gone: bool) -> None:  # noqa: FBT001
    result = await Wire(Response(200, answer)).engine.delete_pod(POD)
    assert result == (None if gone else answer)
