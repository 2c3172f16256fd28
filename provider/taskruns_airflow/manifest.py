"""Operator arguments, and the TaskRun manifest that is built from them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator
from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from taskruns.api import names
from taskruns.api.v1alpha1 import TaskRunSpec
from taskruns.api.v1alpha1.model import format_duration
from taskruns_airflow.containers import ContainerSelection
from taskruns_airflow.identity import Try


def plain(value: Any) -> Any:
    """Return a value with Kubernetes client objects, at any depth, as dicts in wire form."""
    wire_names = getattr(type(value), "attribute_map", None)
    if isinstance(wire_names, Mapping):
        parts = ((wire, getattr(value, name)) for name, wire in wire_names.items())
        return {wire: plain(part) for wire, part in parts if part is not None}
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value


def env_vars(env: Mapping[str, Any] | Sequence[Any]) -> list[dict[str, Any]]:
    """Return environment variables as core/v1 EnvVars.

    Args:
        env: A list of EnvVars, which is returned unchanged, or a mapping. A value of the mapping
            is text, a number, or a core/v1 EnvVarSource:
            `{"secretKeyRef": {"name": "database", "key": "password"}}`.

    Raises:
        ValueError: A value has another type. The message does not contain it, because it may be a
            secret.
    """
    if isinstance(env, Mapping):
        return [_env_var(str(name), value) for name, value in env.items()]
    if isinstance(env, str):
        raise ValueError(  # noqa: TRY004  # invalid arguments raise ValueError throughout
            "env: is a text; write a dict, such as {'NAME': 'value'}, or a list of V1EnvVar. "
            "A template that makes a dict needs render_template_as_native_obj=True on the DAG, "
            "or pass the other task's output itself"
        )
    for item in env:
        if not isinstance(item, Mapping) or "name" not in item:
            raise ValueError('env: every item of the list needs a name, as {"name": "A", ...}')
    return [dict(item) for item in env]


def _env_var(name: str, value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {"name": name, "valueFrom": dict(value)}
    if isinstance(value, str):
        return {"name": name, "value": value}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"name": name, "value": str(value)}
    raise ValueError(
        f"env: the value of {name} is of type {type(value).__name__}: "
        "write text, a number, or where it comes from, as {'secretKeyRef': {...}}"
    )


_PARTS = ("metadata", "spec")
_OF_A_POD = ("apiVersion", "kind", "status")
_PLACE = ("name", "generateName", "namespace", "creationTimestamp")
"""Metadata fields of a Pod that are dropped from a template, because taskruns names the Pods."""


def pod_template(value: Mapping[str, Any] | str) -> dict[str, Any]:
    """Return a core/v1 PodTemplateSpec, given one or a whole Pod, as a mapping or as YAML.

    Raises:
        ValueError: The value is not a mapping, or has fields that a PodTemplateSpec lacks.
    """
    template = loaded(value) if isinstance(value, str) else value
    if not isinstance(template, Mapping):
        raise ValueError(  # noqa: TRY004  # invalid arguments raise ValueError throughout
            "template: not a mapping: write {'metadata': ..., 'spec': ...}, or the same as YAML"
        )
    whole_pod = template.get("kind") == "Pod"
    strange = [k for k in template if k not in _PARTS and not (whole_pod and k in _OF_A_POD)]
    if strange:
        raise ValueError(
            f"template: {', '.join(map(str, strange))}: a PodTemplateSpec has metadata and spec"
        )
    parts = {part: dict(template[part]) for part in _PARTS if template.get(part)}
    if whole_pod and "metadata" in parts:
        parts["metadata"] = {k: v for k, v in parts["metadata"].items() if k not in _PLACE}
    return parts


def loaded(text: str) -> Any:
    """Return the value of a YAML text.

    Raises:
        ValueError: The text is not YAML.
    """
    import yaml  # noqa: PLC0415  # only templates in files need it

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"template: not YAML: {error}") from error


class ContainerArguments(BaseOperator):
    """Arguments about the container."""

    def __init__(  # noqa: PLR0913  # each is a name that users of Kubernetes know
        self,
        *,
        image: str | None = None,
        command: Sequence[str] | None = None,
        arguments: Sequence[str] | None = None,
        working_dir: str | None = None,
        env: Mapping[str, Any] | Sequence[Any] | None = None,
        env_from: Sequence[Any] | None = None,
        container_resources: Any = None,
        volume_mounts: Sequence[Any] | None = None,
        image_pull_policy: str | None = None,
        security_context: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.image = image
        self.command = command
        self.arguments = arguments
        self.working_dir = working_dir
        self.env = plain(env)
        self.env_from = plain(env_from)
        self.container_resources = plain(container_resources)
        self.volume_mounts = plain(volume_mounts)
        self.image_pull_policy = image_pull_policy
        self.security_context = plain(security_context)


class PodArguments(ContainerArguments):
    """Arguments about the Pod."""

    def __init__(  # noqa: PLR0913  # as above
        self,
        *,
        volumes: Sequence[Any] | None = None,
        image_pull_secrets: Sequence[Any] | None = None,
        service_account_name: str | None = None,
        node_selector: Mapping[str, str] | None = None,
        tolerations: Sequence[Any] | None = None,
        affinity: Any = None,
        priority_class_name: str | None = None,
        template: Any = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        queue_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.volumes = plain(volumes)
        self.image_pull_secrets = plain(image_pull_secrets)
        self.service_account_name = service_account_name
        self.node_selector = node_selector
        self.tolerations = plain(tolerations)
        self.affinity = plain(affinity)
        self.priority_class_name = priority_class_name
        self.template = plain(template)
        self.labels = labels
        self.annotations = annotations
        self.queue_name = queue_name


class RunArguments(PodArguments):
    """Arguments about the run as a whole."""

    def __init__(  # noqa: PLR0913  # as above
        self,
        *,
        spec: Mapping[str, Any] | None = None,
        backoff_limit: int | None = None,
        disruption_limit: int | None = None,
        schedule_timeout_seconds: int | None = None,
        startup_timeout_seconds: int | None = None,
        pod_gc: Mapping[str, Any] | None = None,
        ttl_seconds_after_finished: int | None = None,
        get_logs: bool = True,
        container_logs: ContainerSelection = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.spec = plain(spec)
        self.backoff_limit = backoff_limit
        self.disruption_limit = disruption_limit
        self.schedule_timeout_seconds = schedule_timeout_seconds
        self.startup_timeout_seconds = startup_timeout_seconds
        self.pod_gc = pod_gc
        self.ttl_seconds_after_finished = ttl_seconds_after_finished
        self.get_logs = get_logs
        self.container_logs = container_logs


RESULT_PATH = "/airflow/xcom/return.json"
"""File to which a task writes the JSON of its XCom; the same as KubernetesPodOperator's."""

LABEL_QUEUE = "kueue.x-k8s.io/queue-name"
"""Kueue's label; taskruns copies it to the Pods."""

WAIT_FOR_READER = timedelta(minutes=10)
"""Time for which a finished Pod is kept until its log is read; a collected Pod may go earlier."""

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Arguments of a task, from which its TaskRun is built.

    None leaves a field to the TaskRun's default. The fields in `_UNCONVERTED` are fields of a
    TaskRun's spec, by their Python names.
    """

    image: str | None = None
    command: Sequence[str] | None = None
    arguments: Sequence[str] | None = None
    working_dir: str | None = None
    env: Mapping[str, Any] | Sequence[Any] | None = None
    env_from: Sequence[Any] | None = None
    container_resources: Mapping[str, Any] | None = None
    volumes: Sequence[Any] | None = None
    volume_mounts: Sequence[Any] | None = None
    image_pull_policy: str | None = None
    image_pull_secrets: Sequence[Any] | None = None
    security_context: Mapping[str, Any] | None = None
    service_account_name: str | None = None
    node_selector: Mapping[str, str] | None = None
    tolerations: Sequence[Any] | None = None
    affinity: Mapping[str, Any] | None = None
    priority_class_name: str | None = None
    backoff_limit: int | None = None
    disruption_limit: int | None = None
    schedule_timeout_seconds: int | None = None
    startup_timeout_seconds: int | None = None
    pod_gc: Mapping[str, Any] | None = None
    ttl_seconds_after_finished: int | None = None
    template: Mapping[str, Any] | str | None = None
    spec: Mapping[str, Any] | None = None
    """Fields of a TaskRun's spec, by their API names."""
    queue_name: str | None = None
    """Kueue LocalQueue."""
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    get_logs: bool = True
    do_xcom_push: bool = True
    execution_timeout: timedelta | None = None


_UNCONVERTED = (
    "image",
    "command",
    "working_dir",
    "env_from",
    "volumes",
    "volume_mounts",
    "image_pull_policy",
    "security_context",
    "service_account_name",
    "node_selector",
    "tolerations",
    "affinity",
    "priority_class_name",
    "backoff_limit",
    "disruption_limit",
    "schedule_timeout_seconds",
    "startup_timeout_seconds",
    "ttl_seconds_after_finished",
)
_CONVERTED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "arguments": ("args", lambda value: value),
    "env": ("env", env_vars),
    "container_resources": ("resources", lambda value: value),
    "image_pull_secrets": (
        "imagePullSecrets",
        lambda secrets: [{"name": each} if isinstance(each, str) else each for each in secrets],
    ),
    "pod_gc": ("podGC", lambda value: value),
}
"""API name and conversion of each field whose API name or form differs from the Python one."""

_ARGUMENT_OF = {to_camel(name): name for name in _UNCONVERTED} | {
    wire_name: name for name, (wire_name, _) in _CONVERTED.items()
}
"""Fields of `Order` by their API names."""

_OWN_NAMES: Mapping[str, str] = {}


def build(order: Order, own: Try, called: Mapping[str, str] = _OWN_NAMES) -> Object:
    """Return the TaskRun manifest of a try, without a namespace.

    Args:
        order: The task's arguments.
        own: The try.
        called: Argument names for messages, by field of `order`, where an operator's differ.

    Raises:
        ValueError: An argument is invalid. The message names it and says what to write instead.
    """
    labels = {**(order.labels or {}), **own.labels}
    annotations = {**(order.annotations or {}), **own.annotations}
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
        return f"it has returned a {type(made).__name__}: return a TaskRun as a dict, or nothing"
    metadata = made.get("metadata") or {}
    if metadata.get("name") != name:
        return f"name: a TaskRun is named after its try: leave {name} as it is"
    for part, ours in (("labels", own.labels), ("annotations", own.annotations)):
        present = metadata.get(part) or {}
        if lost := sorted(key for key, value in ours.items() if present.get(key) != value):
            return f"{part}: {', '.join(lost)} must stay: a later try finds the TaskRun by them"
    return None


def _spec(order: Order) -> Object:
    named = {to_camel(name): getattr(order, name) for name in _UNCONVERTED}
    for name, (wire_name, convert) in _CONVERTED.items():
        argument = getattr(order, name)
        named[wire_name] = None if argument is None else convert(argument)
    named["template"] = None if order.template is None else pod_template(order.template)
    named = {name: value for name, value in named.items() if value is not None}
    spec = dict(order.spec or {})
    if twice := sorted(named.keys() & spec.keys()):
        raise ValueError(f"{', '.join(twice)}: given in spec and as an argument: say it once")
    return _with_defaults(spec | named, order)


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
        spec["podGC"] = wait | dict(spec.get("podGC") or {})
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
            "; ".join(
                f"{_place(each['loc'], order, called)}: "
                f"{_problem(each['type'], each['msg'], each['input'])}"
                for each in errors
            )
        ) from None


def _place(loc: tuple[int | str, ...], order: Order, called: Mapping[str, str]) -> str:
    """Return the argument and path of an invalid value; `spec` for a field without argument."""
    field = _ARGUMENT_OF.get(str(loc[0])) if loc else None
    if field is None or getattr(order, field) is None:
        return ".".join(("spec", *map(str, loc)))
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc[1:])
    return called.get(field, field) + path


def _problem(kind: str, message: str, value: object) -> str:
    """Return the problem with a value, without the value itself, which may be a secret."""
    if kind == "list_type" and isinstance(value, str):
        return (
            "is a text; write a list, such as ['sh', '-c', 'echo hello']. "
            "A text is not split into words"
        )
    if kind == "string_type":
        return (
            f"is of type {type(value).__name__}; write a text, such as '5' with quotes. "
            "With render_template_as_native_obj, a template that renders to a number becomes one"
        )
    return message
