"""Tests that the table of operator arguments agrees with the API and with every operator."""

import inspect
import re
from typing import Any

import pytest
from kubernetes.client import models as k8s

from taskruns.api.v1alpha1 import TaskRunSpec
from taskruns_airflow import TaskRunOperator
from taskruns_airflow.compat import DockerOperator, KubernetesPodOperator
from taskruns_airflow.compat.parameters import Migrated
from taskruns_airflow.decorator import TaskRunDecoratedOperator
from taskruns_airflow.manifest import RunArguments
from taskruns_airflow.spec_fields import SPEC_FIELDS, Part, arguments_of

SET_BY_SPEC = {
    "resultPath",
    "backoff",
    "podFailurePolicy",
    "podReplacementPolicy",
    "activeDeadlineSeconds",
    "attemptDeadlineSeconds",
    "suspend",
    "cancel",
}
"""Fields without an argument: rarely set, derived from Airflow's own arguments, or not for DAGs."""

SET_BY_ITS_OWN_PARAMETERS: dict[type[Migrated], set[str]] = {
    DockerOperator: {"command", "arguments", "image_pull_policy", "pod_gc"},
    KubernetesPodOperator: set(),
}


def test_every_field_of_the_api_has_an_argument_or_is_set_by_spec() -> None:
    in_api = {field.alias or name for name, field in TaskRunSpec.model_fields.items()}
    with_argument = {row.api_name for row in SPEC_FIELDS.values()}
    assert with_argument & SET_BY_SPEC == set()
    assert with_argument | SET_BY_SPEC == in_api


@pytest.mark.parametrize(
    ("part", "model"), [(Part.CONTAINER, k8s.V1Container), (Part.POD, k8s.V1PodSpec)]
)
def test_fields_of_container_and_pod_have_their_kubernetes_names(part: Part, model: Any) -> None:
    assert arguments_of(part).keys() <= set(model.attribute_map.values())


def test_the_constructor_takes_every_argument_with_its_type() -> None:
    parameters = inspect.signature(RunArguments.__init__).parameters
    for name in SPEC_FIELDS:
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[name].default is None
        assert parameters[name].annotation is not inspect.Parameter.empty


def test_the_operator_describes_every_parameter_once() -> None:
    args = inspect.cleandoc(TaskRunOperator.__doc__ or "").partition("Args:\n")[2]
    described = re.findall(r"^    (\w+): ", args, re.MULTILINE)
    constructors = (RunArguments.__init__, TaskRunOperator.__init__)
    parameters = {name for each in constructors for name in inspect.signature(each).parameters}
    assert sorted(described) == sorted(parameters - {"self"})


def test_every_argument_is_a_template_field() -> None:
    for operator in (TaskRunOperator, TaskRunDecoratedOperator):
        missing = SPEC_FIELDS.keys() - set(operator.template_fields)
        assert missing == (set() if operator is TaskRunOperator else {"command", "arguments"})


@pytest.mark.parametrize("operator", list(SET_BY_ITS_OWN_PARAMETERS))
@pytest.mark.parametrize("name", SPEC_FIELDS)
def test_an_operator_for_migration_passes_every_argument_on(
    operator: type[Migrated], name: str
) -> None:
    replaced = {each.name for each in operator.parameters} | SET_BY_ITS_OWN_PARAMETERS[operator]
    if name not in replaced:
        unset: dict[str, Any] = {name: None}
        task = operator(task_id="load", image="a", **unset)
        assert getattr(task, name) is None
        assert name in operator.template_fields
