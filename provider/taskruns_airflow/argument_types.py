"""Type checks of operator arguments; each error names the argument and states what to write.

No message contains the value, because it may be a secret.
"""

from collections.abc import Collection, Mapping
from math import inf
from typing import Any

_POD_LISTS = ("containers", "initContainers")
_STRING_MAPPINGS = ("labels", "annotations")


def wrong_type(argument: str, value: object, instead: str) -> ValueError:
    """Return the error for a value of the wrong type.

    Args:
        argument: Name of the argument, and the path of the value in it.
        value: The value.
        instead: Valid values, as the object of "write".
    """
    return ValueError(f"{argument}: is of type {type(value).__name__}; write {instead}")


def mapping_of(argument: str, value: Any, instead: str = "a dict") -> dict[str, Any]:
    """Return a copy of a mapping; an empty dict for None and other empty values.

    Raises:
        ValueError: The value is not a mapping.
    """
    if not value:
        return {}
    if not isinstance(value, Mapping):
        raise wrong_type(argument, value, instead)
    return dict(value)


def strings_by_key(argument: str, value: Any) -> dict[str, Any]:
    """Return a copy of labels or annotations, whose values are strings or None.

    Raises:
        ValueError: The value is not such a mapping.
    """
    pairs = mapping_of(argument, value, "a dict of strings, such as {'team': 'data'}")
    for key, item in pairs.items():
        if not isinstance(item, str | None):
            raise wrong_type(f"{argument}[{key!r}]", item, "a string, such as '1' with quotes")
    return pairs


def list_of(argument: str, value: Any, instead: str = "a list") -> list[Any]:
    """Return a copy of a list or another collection, except a string or a mapping.

    Raises:
        ValueError: The value is not a list.
    """
    if not isinstance(value, Collection) or isinstance(value, str | bytes | Mapping):
        raise wrong_type(argument, value, instead)
    return list(value)


def check_template(argument: str, template: Any) -> None:
    """Check the parts of a core/v1 PodTemplateSpec that the provider reads itself.

    Raises:
        ValueError: A part has the wrong type.
    """
    parts = mapping_of(argument, template, "a dict with metadata and spec")
    metadata = mapping_of(f"{argument}.metadata", parts.get("metadata"), "a dict, as ObjectMeta")
    for name in _STRING_MAPPINGS:
        mapping_of(f"{argument}.metadata.{name}", metadata.get(name), "a dict of strings")
    spec = mapping_of(f"{argument}.spec", parts.get("spec"), "a dict, as core/v1 PodSpec")
    for name in _POD_LISTS:
        path = f"{argument}.spec.{name}"
        for number, item in enumerate(list_of(path, spec.get(name) or (), "a list of containers")):
            if not isinstance(item, Mapping):
                raise wrong_type(f"{path}[{number}]", item, "a dict, as core/v1 Container")


def check_string(argument: str, value: Any) -> None:
    """Check an optional string.

    Raises:
        ValueError: The value is not a string.
    """
    if value is not None and not isinstance(value, str):
        raise wrong_type(argument, value, "a string, such as '5' with quotes")


def check_container_names(argument: str, value: Any) -> None:
    """Check a choice of containers: one name, several names, True for all, or nothing.

    Raises:
        ValueError: The value is not such a choice.
    """
    instead = "the name of a container, a list of names, or True for all"
    if isinstance(value, str | bool | None):
        return
    for number, name in enumerate(list_of(argument, value, instead)):
        check_string(f"{argument}[{number}]", name)


def check_exit_codes(argument: str, value: Any) -> None:
    """Check exit codes: one, several, or None.

    Raises:
        ValueError: The value is neither an integer nor a collection of integers.
    """
    if isinstance(value, int | None):
        return
    for number, code in enumerate(list_of(argument, value, "an integer, or a list of integers")):
        if not isinstance(code, int):
            raise wrong_type(f"{argument}[{number}]", code, "an integer")


def check_seconds(argument: str, value: Any) -> None:
    """Check a duration in seconds: a number that is not negative.

    Raises:
        ValueError: The value is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
        raise wrong_type(argument, value, "a number of seconds, 0 or more")
