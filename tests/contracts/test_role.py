"""The chart's roles: the controller's matches the code, and all match the documentation."""

from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from taskruns.api import names
from taskruns.engines.kubernetes.endpoints import (
    CALLS,
    CLEANUP_CALLS,
    CLIENT_CALLS,
    LEASE_CALLS,
)
from tests.support.cluster.permissions import requests
from tools import helm as helm_tool
from tools import install

CHART = Path(__file__).parents[2] / "charts" / "taskruns"
WATCHED = {(names.GROUP, names.PLURAL), ("", "pods")}
"""Resources that the operator lists and watches with kopf."""
BLOCKING = ("update", names.GROUP, f"{names.PLURAL}/finalizers")
"""Right that admission requires to create a Pod that blocks its owner's deletion."""

pytestmark = pytest.mark.usefixtures("helm")


@cache
def _rendered() -> list[dict[str, Any]]:
    return helm_tool.template(CHART, "taskruns-system")


def _role(name: str) -> Any:
    (role,) = [
        each
        for each in _rendered()
        if each["kind"].endswith("Role") and each["metadata"]["name"] == name
    ]
    return role


def _allowed(role: Any) -> set[tuple[str, str, str]]:
    return {
        permission
        for rule in role["rules"]
        for permission in product(rule["verbs"], rule["apiGroups"], rule["resources"])
    }


def _told(column: str) -> set[tuple[str, str, str]]:
    return {request.permission for request in requests() if request.allowed[column]}


def test_the_role_allows_what_the_code_does_and_no_more() -> None:
    made = {(call.verb, call.group, call.resource) for call in CALLS}
    watching = {(verb, *kind) for verb in ("list", "watch") for kind in WATCHED}
    assert _allowed(_role("taskruns")) == made | watching | {BLOCKING}


def test_the_role_of_the_election_allows_what_it_does_on_one_lease_of_the_release() -> None:
    role = _role("taskruns-leader-election")
    assert _allowed(role) == {(call.verb, call.group, call.resource) for call in LEASE_CALLS}
    assert (role["kind"], role["metadata"]["namespace"]) == ("Role", "taskruns-system")
    (rule,) = role["rules"]
    assert rule["resourceNames"] == ["taskruns"]
    (deployment,) = [each for each in _rendered() if each["kind"] == "Deployment"]
    (controller,) = deployment["spec"]["template"]["spec"]["containers"]
    assert "--leader-elect-lease=taskruns-system/taskruns" in controller["args"]


def test_the_role_for_clients_allows_what_the_command_line_does_and_no_more() -> None:
    made = {(call.verb, call.group, call.resource) for call in CLIENT_CALLS}
    assert _allowed(_role("taskruns-client")) == made


def test_the_roles_of_the_cleanup_allow_what_it_does_and_no_more() -> None:
    controller, own = _role("taskruns"), _role("taskruns-cleanup")
    made = {(call.verb, call.group, call.resource) for call in CLEANUP_CALLS}
    assert made <= _allowed(controller) | _allowed(own)
    deleting = ("delete", "coordination.k8s.io", "leases")
    scale, watched = ("patch", "apps", "deployments/scale"), ("list", "", "pods")
    assert _allowed(own) == {scale, watched, deleting}
    assert (own["kind"], own["metadata"]["namespace"]) == ("Role", "taskruns-system")
    for group in ("apps", "coordination.k8s.io"):
        (rule,) = [rule for rule in own["rules"] if rule["apiGroups"] == [group]]
        assert rule["resourceNames"] == ["taskruns"]


def test_no_right_is_a_hook_that_outlives_the_release() -> None:
    """Helm does not remove a hook's objects when the hook fails, or when Helm is killed."""
    hooks = [each for each in helm_tool.template(CHART, "a") if install.is_hook(each)]
    assert [each["kind"] for each in hooks] == ["Job"]
    assert hooks[0]["spec"]["ttlSecondsAfterFinished"] > 0


@pytest.mark.parametrize(
    ("column", "role"), [("controller", "taskruns"), ("client", "taskruns-client")]
)
def test_the_security_page_tells_all_that_a_role_of_ours_allows(column: str, role: str) -> None:
    assert _allowed(_role(role)) == _told(column)


def test_what_is_added_to_view_and_edit_is_what_the_security_page_tells() -> None:
    view, edit = _allowed(_role("taskruns-view")), _allowed(_role("taskruns-edit"))
    documented = {
        column: {permission for permission in _told(column) if permission[1] == names.GROUP}
        for column in ("view", "edit", "admin")
    }
    assert view == documented["view"]
    assert documented["edit"] == documented["admin"] == documented["view"] | edit


def test_no_role_for_users_may_write_a_status() -> None:
    roles = [_role(f"taskruns-{name}") for name in ("view", "edit", "client")]
    verbs = {verb for role in roles for verb, _, path in _allowed(role) if path.endswith("/status")}
    assert verbs == {"get"}
