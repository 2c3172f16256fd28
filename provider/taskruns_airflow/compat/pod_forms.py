"""Type checks of KubernetesPodOperator's arguments, with messages that say what to write instead.

The same checks run when a DAG is parsed and again once templates are rendered. While a DAG is
parsed, a template field may hold a Jinja template or a reference to another task's XCom.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from math import ceil
from os import PathLike
from typing import Any

from taskruns_airflow.compat.kubernetes_pod_parameters import TEMPLATED
from taskruns_airflow.compat.pod_reconciliation import is_model

Check = Callable[[Any], str | None]
"""Returns the problem and what to write instead; None if the value has a valid form."""

_RENDERED_TEXT = (
    "a template renders to a string; write a {} whose values are templates, an XComArg, or set "
    "render_template_as_native_obj=True on the DAG"
)


def wrong_forms(arguments: Mapping[str, Any], *, rendered: bool) -> Iterator[str]:
    """Yield a message for each argument of an invalid form, beginning with the argument's name.

    Args:
        arguments: The arguments by name.
        rendered: Whether templates are already rendered.
    """
    for name, check in _CHECKS.items():
        value = arguments.get(name)
        if value is None or (not rendered and name in TEMPLATED and is_pending(value)):
            continue
        if rendered and name in TEMPLATED and isinstance(value, str) and check in _KINDS:
            if value:
                yield f"{name}: {_RENDERED_TEXT.format(_KINDS[check])}"
        elif sentence := check(value):
            yield f"{name}: {sentence}"


def is_pending(value: object) -> bool:
    """Whether a value is known only once templates are rendered."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    return callable(getattr(value, "resolve", None))


def _type(value: object) -> str:
    return type(value).__name__


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else f"is of type {_type(value)}; write a string"


def _path(value: Any) -> str | None:
    is_path = isinstance(value, str | PathLike)
    return None if is_path else f"is of type {_type(value)}; write the path of a file"


def _texts(value: Any) -> str | None:
    if not value:
        return None
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        example = "['sh', '-c', 'echo hello']"
        return f"is of type {_type(value)}; write a list of strings, such as {example}"
    for number, item in enumerate(value, 1):
        if not isinstance(item, str) and not is_pending(item):
            return (
                f"item {number} is of type {_type(item)}; write a string. With "
                "render_template_as_native_obj, add quotes around a number: \"'1'\""
            )
    return None


def _text_values(value: Any) -> str | None:
    if not value:
        return None
    if not isinstance(value, Mapping):
        return f"is of type {_type(value)}; write a dict of strings"
    for key, each in value.items():
        if not _is_text_or_number(each) and each is not None and not is_pending(each):
            return f"the value of {key} is of type {_type(each)}; write a string"
    return None


def _environment(value: Any) -> str | None:
    if not value:
        return None
    if isinstance(value, Mapping):
        bad = (key for key, each in value.items() if not _is_env_value(each))
        key = next(bad, None)
        form = "write a string, a number, or a source such as {'secretKeyRef': {...}}"
        return None if key is None else f"the value of {key} is of type {_type(value[key])}; {form}"
    if isinstance(value, str) or not isinstance(value, Sequence):
        return f"is of type {_type(value)}; write a dict, or a list of V1EnvVar"
    for number, item in enumerate(value, 1):
        if is_pending(item):
            continue
        name, text = (_part(item, part) for part in ("name", "value"))
        if not name:
            return f"item {number} has no name; write a dict, or a list of V1EnvVar"
        if not _is_text_or_number(text) and text is not None and not is_pending(text):
            return f"the value of {name} is of type {_type(text)}; write a string"
    return None


def _part(item: Any, part: str) -> Any:
    return item.get(part) if isinstance(item, Mapping) else getattr(item, part, None)


def _is_env_value(value: object) -> bool:
    text = value is None or _is_text_or_number(value) or isinstance(value, Mapping)
    return text or is_pending(value)


def _is_text_or_number(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


_OBJECT_FORMS = "write an object of the Kubernetes client, or a dict"


def _object(value: Any) -> str | None:
    if not value or isinstance(value, Mapping) or is_model(value):
        return None
    return f"is of type {_type(value)}; {_OBJECT_FORMS}"


def _objects(value: Any) -> str | None:
    if not value:
        return None
    if isinstance(value, str | Mapping) or is_model(value) or not isinstance(value, Iterable):
        return f"is of type {_type(value)}; write a list"
    if not isinstance(value, Sequence):
        return None
    for number, item in enumerate(value, 1):
        sentence = _object(item) if item is not None else f"is None; {_OBJECT_FORMS}"
        if sentence and not is_pending(item):
            return f"item {number} {sentence}"
    return None


def _pull_secrets(value: Any) -> str | None:
    if isinstance(value, str):
        return None
    named = value and not isinstance(value, Mapping) and isinstance(value, Sequence)
    return _objects([item for item in value if not isinstance(item, str)] if named else value)


def _secrets(value: Any) -> str | None:
    if not value:
        return None
    if not isinstance(value, Iterable):
        return f"is of type {_type(value)}; write a list of Secret(...)"
    wrong = [item for item in value if not hasattr(item, "deploy_type")]
    return f"an item is of type {_type(wrong[0])}; write Secret(...)" if wrong else None


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else f"{value!r} is invalid; write True or False"


def _seconds(least: int, *, whole: bool) -> Check:
    def check(value: Any) -> str | None:
        number = isinstance(value, int) or (isinstance(value, float) and not whole)
        if isinstance(value, bool) or not number or ceil(value) < least:
            kind = "a whole number" if whole else "a number"
            return f"{value!r} is invalid; write {kind} of seconds, at least {least}"
        return None

    return check


def _action(value: Any) -> str | None:
    value = value.value if isinstance(value, Enum) else value
    known = isinstance(value, str) and value in RETENTION
    return None if known else f"{value!r} is unknown; write one of {', '.join(RETENTION)}"


RETENTION = {
    "delete_pod": "OnPodCompletion",
    "delete_succeeded_pod": "OnPodSuccess",
    "delete_active_pod": "Never",
    "keep_pod": "Never",
}
"""podGC strategies by the values of `on_finish_action`."""

_KINDS: Mapping[Check, str] = {
    _texts: "list",
    _objects: "list",
    _text_values: "dict",
    _environment: "dict",
    _object: "dict",
}
"""Checks that do not accept a string, with the name of the type to write instead."""

_BY_FORM: Mapping[Check, tuple[str, ...]] = {
    _text: (
        "image",
        "name",
        "namespace",
        "base_container_name",
        "image_pull_policy",
        "runtime_class_name",
        "service_account_name",
        "dnspolicy",
        "hostname",
        "subdomain",
        "schedulername",
        "priority_class_name",
    ),
    _path: ("pod_template_file",),
    _texts: ("cmds", "arguments", "configmaps"),
    _text_values: ("labels", "annotations", "node_selector"),
    _environment: ("env_vars",),
    _object: (
        "container_resources",
        "affinity",
        "security_context",
        "container_security_context",
        "dns_config",
        "full_pod_spec",
        "pod_template_dict",
    ),
    _objects: (
        "ports",
        "volume_mounts",
        "volumes",
        "env_from",
        "tolerations",
        "host_aliases",
        "init_containers",
        "pod_runtime_info_envs",
    ),
    _pull_secrets: ("image_pull_secrets",),
    _secrets: ("secrets",),
    _flag: ("hostnetwork", "automount_service_account_token", "is_delete_operator_pod"),
    _seconds(1, whole=True): ("active_deadline_seconds",),
    _seconds(0, whole=True): ("termination_grace_period",),
    _seconds(1, whole=False): ("startup_timeout_seconds",),
    _seconds(0, whole=False): ("schedule_timeout_seconds",),
    _action: ("on_finish_action",),
}
_CHECKS = {name: check for check, names in _BY_FORM.items() for name in names}
