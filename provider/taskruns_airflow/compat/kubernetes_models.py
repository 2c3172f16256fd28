"""Objects of the Kubernetes client as an operator's arguments.

Arguments that are template fields stay objects until their templates are rendered, since only some
fields of an object are rendered. Nothing here imports the client while a DAG is parsed.
"""

from collections.abc import Mapping
from typing import Any

from taskruns_airflow.serialization import plain

TEMPLATED_FIELDS: Mapping[str, tuple[str, ...]] = {
    "V1EnvVar": ("value", "name"),
    "V1ResourceRequirements": ("limits", "requests"),
    "V1Volume": ("name", "persistent_volume_claim", "config_map"),
    "V1VolumeMount": ("name", "sub_path"),
    "V1PersistentVolumeClaimVolumeSource": ("claim_name",),
    "V1ConfigMapVolumeSource": ("name",),
    "V1EnvFromSource": ("config_map_ref",),
    "V1ConfigMapEnvSource": ("name",),
}
"""The fields of an object in which KubernetesPodOperator renders templates, by the class's name."""


def is_model(value: object) -> bool:
    """Whether a value is an object of the Kubernetes client, or converts itself into one."""
    return isinstance(getattr(type(value), "attribute_map", None), Mapping) or callable(
        getattr(value, "to_k8s_client_obj", None)
    )


def owned(value: Any) -> Any:
    """Return a copy in which templates can be rendered without changing what others share."""
    if callable(convert := getattr(value, "to_k8s_client_obj", None)):
        return owned(convert())
    if is_model(value):
        copy: Any = object.__new__(type(value))
        copy.__dict__.update({name: owned(part) for name, part in vars(value).items()})
        return copy
    if type(value) is dict:
        return {key: owned(part) for key, part in value.items()}
    if type(value) in {list, tuple}:
        return type(value)(owned(part) for part in value)
    return value


def typed(value: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return an object in wire form, with the types that its fields have.

    KubernetesPodOperator reads dicts and files through the client, which makes text of a number
    where a field is text. Fields that the client does not know stay as they are.

    Args:
        value: The object in wire form, as a user has written it.
        model: Name of the client's class, such as V1Pod.

    Raises:
        ValueError: a value cannot be read as its field's type.
    """
    from kubernetes.client import ApiClient, Configuration, models  # noqa: PLC0415  # takes a second

    configuration = Configuration()
    configuration.client_side_validation = False
    client = ApiClient(configuration=configuration)
    try:
        read = client._ApiClient__deserialize_model(  # noqa: SLF001  # as Airflow's provider does
            plain(value), getattr(models, model)
        )
    except (AttributeError, TypeError) as error:
        raise ValueError(f"not a {model.removeprefix('V1')}: {error}") from None
    completed: dict[str, Any] = _with_unknown(plain(value), client.sanitize_for_serialization(read))
    return completed


def _with_unknown(written: Any, read: Any) -> Any:
    """Return what was read, with the fields that were written and not read."""
    if isinstance(written, Mapping) and isinstance(read, Mapping):
        rest = {key: part for key, part in written.items() if key not in read and part is not None}
        return rest | {key: _with_unknown(written.get(key), part) for key, part in read.items()}
    if isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        return [_with_unknown(*each) for each in zip(written, read, strict=True)]
    return read
