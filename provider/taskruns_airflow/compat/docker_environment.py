"""The variables that DockerOperator's arguments ask for, in its order of precedence."""

from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any

from taskruns_airflow.compat.docker_values import is_templated

TMP_DIR, TMP_VARIABLE = "/tmp/airflow", "AIRFLOW_TMP_DIR"  # noqa: S108  # of the container

_PARTS = ("env_file", "environment", "private_environment")
"""From the weakest to the strongest."""
_TEMPLATED = ("env_file", "environment")
_INSTEAD = (
    "without a value it would be taken from the image, which taskruns cannot do: "
    "write the value that it is to have, or leave it out"
)


def variables(given: Mapping[str, Any]) -> dict[str, str]:
    """Return a container's variables.

    Raises:
        ValueError: a part cannot be had. No value is in the message: it may be a secret.
    """
    parts = {name: dict(_part(name, given[name])) for name in _PARTS}
    parts["environment"].pop(TMP_VARIABLE, None)  # as DockerOperator does without the folder
    if given["mount_tmp_dir"]:
        parts["environment"][TMP_VARIABLE] = str(given["tmp_dir"] or TMP_DIR)
    return parts["env_file"] | parts["environment"] | parts["private_environment"]


def refused_variables(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what cannot be had of the variables that are known when a DAG is parsed."""
    for name in _PARTS:
        value = given[name]
        if name in _TEMPLATED and not isinstance(value, Mapping) and is_templated(value):
            continue
        try:
            dict(_part(name, value))
        except ValueError as refusal:
            yield str(refusal)


def _part(name: str, value: Any) -> Iterator[tuple[str, str]]:
    found = _read_file(value) if name == "env_file" else value or {}
    if not isinstance(found, Mapping):
        raise ValueError(f"{name}: write a mapping of names to values")  # noqa: TRY004
    for variable, content in found.items():
        key = str(variable)
        if not key or "=" in key:
            raise ValueError(f"{name}: write a name without `=` for each variable")
        if content is None:
            raise ValueError(f"{name} {key}: {_INSTEAD}")
        yield key, content.decode(errors="replace") if isinstance(content, bytes) else f"{content}"


def _read_file(text: Any) -> Mapping[str, str | None]:
    """Read the text of an env_file as DockerOperator does, by python-dotenv."""
    if text is None:
        return {}
    if not isinstance(text, str):
        raise ValueError("env_file: write its text, or the name of a .env file")  # noqa: TRY004
    try:
        from dotenv import dotenv_values  # noqa: PLC0415  # Airflow's Docker provider brings it
    except ModuleNotFoundError:
        raise ValueError(
            "env_file: python-dotenv reads it and is not installed: install it, "
            "or write the variables in environment"
        ) from None
    return dotenv_values(stream=StringIO(text))
