"""The Pod template of a task: a mapping, or the YAML that its file held."""

from collections.abc import Mapping
from typing import Any

_PARTS = ("metadata", "spec")
_OF_A_POD = ("apiVersion", "kind", "status")
_PLACE = ("name", "generateName", "namespace", "creationTimestamp")
"""What a Pod's metadata has and a template's has no use for: taskruns names Pods."""


def pod_template(told: Mapping[str, Any] | str) -> dict[str, Any]:
    """Return a core/v1 PodTemplateSpec; a whole Pod is taken as the template of its like.

    Raises:
        ValueError: it is no mapping, or it has parts that a PodTemplateSpec does not have.
    """
    template = loaded(told) if isinstance(told, str) else told
    if not isinstance(template, Mapping):
        raise ValueError(  # noqa: TRY004  # as every refusal of what a task asks for
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
    """Return what a YAML text says.

    Raises:
        ValueError: it is not YAML.
    """
    import yaml  # noqa: PLC0415  # only templates in files need it

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"template: not YAML: {error}") from error
