"""Generator of the manifests for `kubectl apply`, from the chart with its default values."""

from pathlib import Path
from typing import Any

from tools import helm
from tools.writing import dump, made_from

CHART = "charts/taskruns"
NAMESPACE = "taskruns-system"
HOOK = "helm.sh/hook"
HELMS_OWN = frozenset(
    {
        "app.kubernetes.io/managed-by",
        "helm.sh/chart",
        "helm.sh/resource-policy",
        HOOK,
        f"{HOOK}-delete-policy",
        f"{HOOK}-weight",
    }
)
"""Labels and annotations by which Helm recognises its objects."""


def manifest(root: Path) -> str:
    """Return all objects of an installation, in an order in which they can be created."""
    objects = helm.template(root / CHART, NAMESPACE)
    return _file([_namespace(), *(each for each in objects if not is_hook(each))])


def cleanup(root: Path) -> str:
    """Return the objects that Helm creates before it uninstalls the release."""
    return _file([each for each in helm.template(root / CHART, NAMESPACE) if is_hook(each)])


def is_hook(resource: dict[str, Any]) -> bool:
    """Return whether an object is a Helm hook, which is not part of the installation."""
    return HOOK in resource["metadata"].get("annotations", {})


def _file(objects: list[dict[str, Any]]) -> str:
    documents = "---\n".join(dump(_without_helm(each)) for each in objects)
    return f"# {made_from(f'{CHART} at its default values')}\n{documents}"


def _namespace() -> dict[str, Any]:
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": enforced},
    }


def _without_helm(content: Any) -> Any:
    match content:
        case dict():
            cleaned = {
                key: _without_helm(value) for key, value in content.items() if key not in HELMS_OWN
            }
            return {k: v for k, v in cleaned.items() if not (k == "annotations" and v == {})}
        case list():
            return [_without_helm(value) for value in content]
        case _:
            return content
