"""Operator arguments, and the TaskRun manifest that is built from them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from inspect import Parameter, signature
from math import ceil
from typing import Any, TypeVar

from airflow.providers.common.compat.sdk import BaseOperator
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from taskruns.api import names
from taskruns.api.v1alpha1 import TaskRunSpec
from taskruns.api.v1alpha1.model import format_duration
from taskruns_airflow.argument_types import (
    check_string,
    check_template,
    mapping_of,
    strings_by_key,
)
from taskruns_airflow.containers import ContainerSelection
from taskruns_airflow.identity import Try
from taskruns_airflow.spec_fields import SPEC_FIELDS, SpecFields, plain

C = TypeVar("C", bound=Callable[..., None])


def with_parameters(parameters: Sequence[Parameter]) -> Callable[[C], C]:
    """Return a decorator that adds keyword parameters to the signature of a constructor.

    Airflow reads the signature for `default_args` and `partial`. The constructor finds the added
    parameters in its `**kwargs`.
    """

    def decorate(constructor: C) -> C:
        written = signature(constructor)
        *own, rest = written.parameters.values()
        complete = written.replace(parameters=[*own, *parameters, rest])
        constructor.__dict__["__signature__"] = complete
        return constructor

    return decorate


_SPEC_PARAMETERS = [
    Parameter(each.name, Parameter.KEYWORD_ONLY, default=None, annotation=each.type)
    for each in fields(SpecFields)
]


class RunArguments(BaseOperator, SpecFields):
    """Base operator with the arguments that describe the TaskRun, one per row of SpecFields.

    Objects of the Kubernetes client are stored in wire form.
    """

    @with_parameters(_SPEC_PARAMETERS)
    def __init__(
        self,
        *,
        spec: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        queue_name: str | None = None,
        get_logs: bool = True,
        container_logs: ContainerSelection = None,
        **kwargs: Any,
    ) -> None:
        values = {name: kwargs.pop(name, None) for name in SPEC_FIELDS}
        super().__init__(**kwargs)
        for name, value in values.items():
            setattr(self, name, plain(value))
        self.spec = plain(spec)
        self.labels = labels
        self.annotations = annotations
        self.queue_name = queue_name
        self.get_logs = get_logs
        self.container_logs = container_logs


RESULT_PATH = "/airflow/xcom/return.json"
"""File to which a task writes the JSON of its XCom; the same as KubernetesPodOperator's."""

LABEL_QUEUE = "kueue.x-k8s.io/queue-name"
"""Kueue's label; taskruns copies it to the Pods."""

WAIT_FOR_READER = timedelta(minutes=10)
"""Time for which a finished Pod is kept until its log is read; a collected Pod may go earlier."""

Object = dict[str, Any]


@dataclass(kw_only=True)
class Order(SpecFields):
    """Arguments of a task, from which its TaskRun is built."""

    spec: Mapping[str, Any] | None = None
    """Fields of a TaskRun's spec, by their API names."""
    queue_name: str | None = None
    """Kueue LocalQueue."""
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    get_logs: bool = True
    do_xcom_push: bool = True
    execution_timeout: timedelta | None = None


_ARGUMENT_OF = {row.api_name: name for name, row in SPEC_FIELDS.items()}
"""Arguments by the API names of their fields."""

_OWN_NAMES: Mapping[str, str] = {}


def build(order: Order, own: Try, called: Mapping[str, str] = _OWN_NAMES) -> Object:
    """Return the TaskRun manifest of a try, without a namespace.

    Args:
        order: The task's arguments.
        own: The try.
        called: Argument names for messages, by field of `order`, if the operator's differ.

    Raises:
        ValueError: An argument is invalid. The message names it and says what to write instead.
    """
    labels = strings_by_key("labels", order.labels) | own.labels
    annotations = strings_by_key("annotations", order.annotations) | own.annotations
    check_string("queue_name", order.queue_name)
    spec = _spec(order)
    spec["template"] = _marked(spec.get("template"), labels, annotations)
    if order.queue_name:
        labels[LABEL_QUEUE] = order.queue_name
    _check(spec, order, called)
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": own.name, "labels": labels, "annotations": annotations},
        "spec": spec,
    }


def lost_identity(made: Any, name: str, own: Try) -> str | None:
    """Return why a later try could not find a TaskRun; None if its identity is intact."""
    if not isinstance(made, Mapping):
        return f"result: is of type {type(made).__name__}; return a TaskRun as a dict, or None"
    metadata = made.get("metadata") or {}
    if metadata.get("name") != name:
        return f"name: must remain {name}, by which the try finds its TaskRun"
    for part, ours in (("labels", own.labels), ("annotations", own.annotations)):
        present = metadata.get(part) or {}
        if lost := sorted(key for key, value in ours.items() if present.get(key) != value):
            return (
                f"{part}: {', '.join(lost)} must not change: later tries find the TaskRun by them"
            )
    return None


def _spec(order: Order) -> Object:
    named = {
        row.api_name: row.convert(argument)
        for name, row in SPEC_FIELDS.items()
        if (argument := getattr(order, name)) is not None
    }
    spec = mapping_of("spec", order.spec, "a dict of fields of a TaskRun's spec")
    check_template("spec.template", spec.get("template"))
    if twice := sorted(named.keys() & spec.keys()):
        raise ValueError(
            f"{', '.join(twice)}: set both in spec and as an argument; remove one of the two"
        )
    return _with_defaults(spec | named, order)


_POD_GC = "a dict, such as {'strategy': 'OnPodSuccess'}"


def _with_defaults(spec: Object, order: Order) -> Object:
    """Add fields derived from Airflow's settings, except for those that the spec sets."""
    if order.do_xcom_push:
        spec.setdefault("resultPath", RESULT_PATH)
    if order.execution_timeout is not None:
        limit = ceil(order.execution_timeout.total_seconds())
        attempt = spec.get("attemptDeadlineSeconds")
        if "activeDeadlineSeconds" not in spec and isinstance(attempt, int):
            # A TaskRun refuses an attempt's deadline above the run's.
            spec["attemptDeadlineSeconds"] = min(attempt, limit)
        spec.setdefault("activeDeadlineSeconds", limit)
    if order.get_logs:
        wait = {"deleteDelayDuration": format_duration(WAIT_FOR_READER)}
        place = "spec.podGC" if order.pod_gc is None else "pod_gc"
        spec["podGC"] = wait | mapping_of(place, spec.get("podGC"), _POD_GC)
    return spec


def _marked(template: Any, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Object:
    """Return the template with the labels and annotations added, over the template's own."""
    marked = dict(template or {})
    metadata = dict(marked.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotations}
    return {**marked, "metadata": metadata}


def _check(spec: Object, order: Order, called: Mapping[str, str]) -> None:
    """Validate the spec as the apiserver would; messages name the argument, not its value."""
    try:
        TaskRunSpec.model_validate(spec)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False)
        raise ValueError(
            "; ".join(f"{_place(each['loc'], order, called)}: {_problem(each)}" for each in errors)
        ) from None


def _place(loc: tuple[int | str, ...], order: Order, called: Mapping[str, str]) -> str:
    """Return the argument and path of an invalid value; `spec` for a field without argument."""
    field = _ARGUMENT_OF.get(str(loc[0])) if loc else None
    if field is None or getattr(order, field) is None:
        return ".".join(("spec", *map(str, loc)))
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc[1:])
    return called.get(field, field) + path


_INSTEAD = {
    "list_type": "a list",
    "dict_type": "a dict",
    "string_type": (
        "a string, such as '5' with quotes. With render_template_as_native_obj, a template that "
        "renders to a number gives a number"
    ),
}
"""Valid values by pydantic's name of a type error."""
_COMMANDS = ("command", "args")


def _problem(error: ErrorDetails) -> str:
    """Return the problem with a value, without the value itself, which may be a secret."""
    instead = _INSTEAD.get(error["type"])
    if instead is None:
        return error["msg"]
    if error["type"] == "list_type" and error["loc"][0] in _COMMANDS:
        instead += ", such as ['sh', '-c', 'echo hello']. A string is not split into words"
    return f"is of type {type(error['input']).__name__}; write {instead}"
