"""The terminationMessagePolicy of the containers of an attempt."""

from typing import Any

from taskruns.api.v1alpha1 import TaskRun
from taskruns.core.pods import build_pod
from tests.support.builders.objects import Object, a_run

POLICY = "terminationMessagePolicy"


def _spec(**spec: Any) -> Object:
    built: Object = build_pod(TaskRun.model_validate(a_run(**spec)), 1)["spec"]
    return built


def test_every_container_that_can_fail_the_run_has_a_termination_message() -> None:
    spec = _spec(template={"spec": {"initContainers": [{"name": "prepare", "image": "a"}]}})
    assert spec["initContainers"][0][POLICY] == "FallbackToLogsOnError"
    assert spec["containers"][0][POLICY] == "FallbackToLogsOnError"


def test_a_message_policy_of_the_template_is_kept() -> None:
    init = {"name": "prepare", "image": "a", POLICY: "File"}
    spec = _spec(template={"spec": {"initContainers": [init]}})
    assert spec["initContainers"] == [init]
