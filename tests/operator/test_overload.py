"""An overloaded apiserver (429) delays a run, and loses or repeats no part of it."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.cluster import Cluster
from tests.operator.conftest import ARGUMENTS, Submit
from tests.support.cluster.client import Object
from tests.support.cluster.controller_process import ControllerProcess
from tests.support.faults.fault_proxy import Fault, FaultProxy, ProxiedRequest


class Overload:
    """Respond with 429 to the first write of each kind, and to every Event."""

    def __init__(self) -> None:
        self.refused: set[str] = set()

    def __call__(self, request: ProxiedRequest) -> Fault | None:
        kind = _kind(request)
        if kind is None or (kind != "event" and kind in self.refused):
            return None
        self.refused.add(kind)
        return Fault.BUSY


def test_a_run_succeeds_when_each_first_write_is_refused(
    served: Cluster,
    tmp_path: Path,
    submit: Submit,
    ended: Callable[[Object, str], Object],
) -> None:
    overload = Overload()
    with FaultProxy(served.kubeconfig) as fault_proxy:
        fault_proxy.choose_fault = overload
        kubeconfig = fault_proxy.kubeconfig(tmp_path)
        with ControllerProcess(served, *ARGUMENTS, kubeconfig=kubeconfig).at_work():
            status = ended(submit("exit 0"), "Succeeded")["status"]
    assert status["exitCode"] == 0
    assert [attempt["outcome"] for attempt in status["attempts"]] == ["Succeeded"]
    written = {"create", "status Pending", "gate", "status Succeeded", "metadata", "delete"}
    assert overload.refused >= written | {"event"}


def _kind(request: ProxiedRequest) -> str | None:
    path = request.path.partition("?")[0]
    if request.method not in ("POST", "PATCH", "DELETE"):
        return None
    if "/events" in path:
        return "event"
    if request.method != "PATCH":
        return {"POST": "create", "DELETE": "delete"}[request.method]
    body = json.loads(request.body)
    if path.endswith("/status"):
        return f"status {body['status'].get('phase')}"
    return "gate" if "spec" in body else "metadata"
