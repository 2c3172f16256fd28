"""The environment of a task, as people write it: a mapping, or a list as in core/v1."""

from collections.abc import Mapping, Sequence
from typing import Any


def env_vars(env: Mapping[str, Any] | Sequence[Any]) -> list[dict[str, Any]]:
    """Return core/v1 EnvVars.

    In a mapping a value is text or a number; or where it comes from, as core/v1 EnvVarSource says
    it: `{"secretKeyRef": {"name": "database", "key": "password"}}`. A list passes as it is.

    Raises:
        ValueError: a value is neither. It is not told: it may be a secret.
    """
    if isinstance(env, Mapping):
        return [_env_var(str(name), value) for name, value in env.items()]
    if isinstance(env, str):
        raise ValueError(  # noqa: TRY004  # build promises ValueError for every bad argument
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
