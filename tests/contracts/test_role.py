"""The chart's role allows exactly the requests that the code can make."""

from itertools import product
from pathlib import Path

import pytest

from taskruns.api import names
from taskruns.engines.kubernetes.calls import CALLS
from tools import helm as helm_tool

CHART = Path(__file__).parents[2] / "charts" / "taskruns"
WATCHED = {(names.GROUP, names.PLURAL), ("", "pods")}
"""What the operator has kopf watch, which is a list and then a watch."""

pytestmark = pytest.mark.usefixtures("helm")


def test_the_role_allows_what_the_code_does_and_no_more() -> None:
    rendered = helm_tool.template(CHART, "taskruns-system")
    (role,) = [
        each
        for each in rendered
        if each["kind"].endswith("Role") and each["metadata"]["name"] == "taskruns"
    ]
    allowed = {
        permission
        for rule in role["rules"]
        for permission in product(rule["verbs"], rule["apiGroups"], rule["resources"])
    }
    made = {(call.verb, call.group, call.resource) for call in CALLS}
    watching = {(verb, *kind) for verb in ("list", "watch") for kind in WATCHED}
    assert allowed == made | watching
