"""The controller reads every field of a TaskRun's spec; a field without an effect is a defect.

The reads of the models' attributes are recorded while the controller decides on runs in every
situation. A field that is copied into the Pod is not read by name; it must change the Pod.
"""

import typing
from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from taskruns.api.v1alpha1 import Model, TaskRun, TaskRunSpec
from taskruns.core.pods import build_pod
from tests.support.builders.objects import (
    Object,
    a_claimed_status,
    a_pod,
    a_run,
    an_ended_status,
    disrupted,
    ended,
    running,
    stamp,
    waiting,
)
from tests.support.builders.specs import FULL
from tests.support.decision import plan_for

Field = tuple[type[BaseModel], str]


def fields_of(model: type[BaseModel]) -> Iterator[Field]:
    """Yield every field of a model and of the models inside it."""
    for name, field in model.model_fields.items():
        yield model, name
        for part in models_in(field.annotation):
            yield from fields_of(part)


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from models_in(argument)


def decide_in_every_situation(spec: Object) -> None:
    """Decide on runs of this spec without an attempt, with one in every state, and finished."""
    plan_for(a_run(**spec))
    status = a_claimed_status("Running")
    for main in (None, waiting("ErrImagePull"), running(), ended(0), ended(42)):
        plan_for(a_run(status=status, **spec), a_pod(main=main), seconds=5)
    plan_for(
        a_run(status=status, **spec),
        a_pod(main=ended(1), conditions=[disrupted("EvictionByEvictionAPI")]),
        seconds=5,
    )
    deleting = a_pod(main=running(), metadata={"deletionTimestamp": stamp(9)})
    plan_for(a_run(status=status, **spec), deleting, seconds=5)
    plan_for(a_run(status=an_ended_status(), **spec), a_pod(main=ended(0)), seconds=20)


def reads(monkeypatch: pytest.MonkeyPatch) -> set[Field]:
    """Return the fields that the controller reads by name in some situation of a run."""
    recorded: set[Field] = set()

    def record(self: BaseModel, name: str) -> object:
        if name in type(self).model_fields:
            recorded.add((type(self), name))
        return BaseModel.__getattribute__(self, name)

    with monkeypatch.context() as patch:
        patch.setattr(Model, "__getattribute__", record, raising=False)
        decide_in_every_situation(FULL)
    return recorded


def changes_the_pod(name: str) -> bool:
    """Return whether the Pod of a run differs without this field of its spec."""
    alias = TaskRunSpec.model_fields[name].alias
    rest = {key: value for key, value in FULL.items() if key != alias}
    pods = [
        build_pod(TaskRun.model_validate(a_run(**spec)), 1)
        for spec in (FULL, {"image": None, **rest})
    ]
    return pods[0] != pods[1]


def test_the_controller_reads_every_field_of_the_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = set(fields_of(TaskRunSpec))
    assert len(fields) > len(TaskRunSpec.model_fields), "the models inside are included"
    unread = fields - reads(monkeypatch)
    assert {
        f"{model.__name__}.{name}"
        for model, name in unread
        if model is not TaskRunSpec or not changes_the_pod(name)
    } == set()
