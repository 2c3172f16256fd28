"""The operator arguments that set fields of a TaskRun's spec: one table, and conversions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum, auto
from typing import Any

from pydantic.alias_generators import to_camel

from taskruns_airflow.argument_types import check_template, list_of, wrong_type


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


_ENV_FORMS = (
    "a dict, such as {'NAME': 'value'}, or a list of V1EnvVar. A template that makes a dict needs "
    "render_template_as_native_obj=True on the DAG, or pass the other task's output itself"
)


def env_vars(env: Mapping[str, Any] | Sequence[Any]) -> list[dict[str, Any]]:
    """Return environment variables as core/v1 EnvVars.

    Args:
        env: A list of EnvVars, which is returned unchanged, or a mapping. A value of the mapping
            is text, a number, or a core/v1 EnvVarSource:
            `{"secretKeyRef": {"name": "database", "key": "password"}}`.

    Raises:
        ValueError: A value has another type.
    """
    if isinstance(env, Mapping):
        return [_env_var(str(name), value) for name, value in env.items()]
    items = list_of("env", env, _ENV_FORMS)
    for number, item in enumerate(items):
        if not isinstance(item, Mapping) or "name" not in item:
            raise ValueError(f"env[{number}]: has no name; write {{'name': 'A', 'value': 'b'}}")
    return [dict(item) for item in items]


def _env_var(name: str, value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {"name": name, "valueFrom": dict(value)}
    if isinstance(value, str):
        return {"name": name, "value": value}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"name": name, "value": str(value)}
    raise wrong_type(
        f"env[{name!r}]", value, "a string, a number, or a source such as {'secretKeyRef': {...}}"
    )


_PARTS = ("metadata", "spec")
_OF_A_POD = ("apiVersion", "kind", "status")
_IDENTITY_FIELDS = ("name", "generateName", "namespace", "creationTimestamp")
"""Metadata fields of a Pod that are dropped from a template, because taskruns names the Pods."""


def pod_template(value: Mapping[str, Any] | str) -> dict[str, Any]:
    """Return a core/v1 PodTemplateSpec, given one or a whole Pod, as a mapping or as YAML.

    Raises:
        ValueError: The value or a part has the wrong type, or it has fields that a PodTemplateSpec
            lacks.
    """
    template = loaded(value) if isinstance(value, str) else value
    if not isinstance(template, Mapping):
        raise wrong_type(
            "template",
            template,
            "a dict, such as {'metadata': ..., 'spec': ...}, the same as YAML, or the name of a "
            ".yaml, .yml or .json file",
        )
    check_template("template", template)
    whole_pod = template.get("kind") == "Pod"
    unknown = [k for k in template if k not in _PARTS and not (whole_pod and k in _OF_A_POD)]
    if unknown:
        raise ValueError(
            f"template: unknown field {', '.join(map(str, unknown))}; a PodTemplateSpec has only "
            "metadata and spec"
        )
    parts = {part: dict(template[part]) for part in _PARTS if template.get(part)}
    if whole_pod and "metadata" in parts:
        parts["metadata"] = {
            k: v for k, v in parts["metadata"].items() if k not in _IDENTITY_FIELDS
        }
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
        raise ValueError(f"template: is not valid YAML: {error}") from error


def _pull_secrets(secrets: Sequence[Any]) -> list[Any]:
    """Return image pull secrets as core/v1 LocalObjectReferences; a string is a name."""
    items = list_of("image_pull_secrets", secrets, "a list of names of Secrets")
    return [{"name": each} if isinstance(each, str) else each for each in items]


def _unchanged(value: Any) -> Any:
    return value


class Part(Enum):
    """The part of a TaskRun that a field of its spec describes."""

    CONTAINER = auto()
    """The main container; the field has the name of core/v1 Container's."""
    POD = auto()
    """The Pod; the field has the name of core/v1 PodSpec's."""
    RUN = auto()


@dataclass(frozen=True, slots=True)
class SpecField:
    """Field of a TaskRun's spec that is set by an operator argument."""

    part: Part
    api_name: str
    """Name in the TaskRun's spec; empty for the argument's name in camel case."""
    convert: Callable[[Any], Any]
    """Returns the field's value in wire form, given the argument."""
    renderer: str | None
    """Language in which Airflow's UI shows the rendered argument."""


def _row(
    part: Part,
    api_name: str = "",
    *,
    convert: Callable[[Any], Any] = _unchanged,
    renderer: str | None = None,
) -> Any:
    """Return the dataclass field of one argument, with its default None."""
    return field(default=None, metadata={_ROW: SpecField(part, api_name, convert, renderer)})


_ROW = "spec_field"
_CONTAINER, _POD, _RUN = Part.CONTAINER, Part.POD, Part.RUN


@dataclass(eq=False, repr=False, init=False, kw_only=True)
class SpecFields:
    """The operator arguments that set fields of a TaskRun's spec; None leaves a field unset.

    To give a field of the API an argument:
    1. Add a row here: constructor, `Order`, template fields and manifest are derived from it.
    2. Describe the argument under Args in `TaskRunOperator`.
    3. Run provider/tests/test_spec_fields.py and test_manifest.py, which name what is missing.
    """

    image: str | None = _row(_CONTAINER)
    command: Sequence[str] | None = _row(_CONTAINER, renderer="json")
    arguments: Sequence[str] | None = _row(_CONTAINER, "args", renderer="json")
    working_dir: str | None = _row(_CONTAINER)
    env: Mapping[str, Any] | Sequence[Any] | None = _row(
        _CONTAINER, convert=env_vars, renderer="json"
    )
    env_from: Sequence[Any] | None = _row(_CONTAINER)
    container_resources: Any = _row(_CONTAINER, "resources", renderer="json")
    volume_mounts: Sequence[Any] | None = _row(_CONTAINER)
    image_pull_policy: str | None = _row(_CONTAINER)
    security_context: Any = _row(_CONTAINER)
    volumes: Sequence[Any] | None = _row(_POD)
    image_pull_secrets: Sequence[Any] | None = _row(_POD, convert=_pull_secrets)
    service_account_name: str | None = _row(_POD)
    node_selector: Mapping[str, str] | None = _row(_POD)
    tolerations: Sequence[Any] | None = _row(_POD)
    affinity: Any = _row(_POD)
    priority_class_name: str | None = _row(_POD)
    template: Any = _row(_RUN, convert=pod_template, renderer="yaml")
    backoff_limit: int | None = _row(_RUN)
    disruption_limit: int | None = _row(_RUN)
    schedule_timeout_seconds: int | None = _row(_RUN)
    startup_timeout_seconds: int | None = _row(_RUN)
    pod_gc: Mapping[str, Any] | None = _row(_RUN, "podGC")
    ttl_seconds_after_finished: int | None = _row(_RUN)


SPEC_FIELDS: Mapping[str, SpecField] = {
    each.name: replace(row, api_name=row.api_name or to_camel(each.name))
    for each in fields(SpecFields)
    if isinstance(row := each.metadata[_ROW], SpecField)
}
"""Rows of the table by argument."""


def arguments_of(part: Part) -> dict[str, str]:
    """Return the arguments that describe a part of a TaskRun, by the API names of their fields."""
    return {row.api_name: name for name, row in SPEC_FIELDS.items() if row.part is part}
