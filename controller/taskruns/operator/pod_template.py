"""The administrator's PodTemplateSpec, which lies under the Pod of every TaskRun."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from taskruns.api import names
from taskruns.core.pods import InvalidTemplate, refuse_restarts


def read(path: str) -> Mapping[str, Any]:
    """Read a template from a file of YAML or JSON; an empty file is an empty template.

    Raises:
        ValueError: it cannot be used; the message says what to write instead.
    """
    try:
        content = yaml.safe_load(Path(path).read_text())
    except OSError:
        raise ValueError("write the path of a file that can be read") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        raise ValueError("write YAML or JSON into that file") from None
    template = content or {}
    _check_keys(template, "template", {"metadata", "spec"})
    _check_keys(template.get("metadata") or {}, "template.metadata", {"labels", "annotations"})
    _check_spec(template.get("spec") or {})
    return dict(template)


def _check_keys(part: Any, place: str, known: set[str]) -> None:
    others = [str(key) for key in part if key not in known] if isinstance(part, dict) else None
    if others is None:
        raise ValueError(f"{place} in that file is no mapping: write a PodTemplateSpec")
    if others:
        said = " and ".join(sorted(known))
        raise ValueError(f"{place} in that file has {', '.join(others)}: write only {said}")


def _check_spec(spec: Any) -> None:
    forbidden = spec.keys() & {"nodeName"} if isinstance(spec, dict) else None
    if forbidden is None:
        raise ValueError("template.spec in that file is no mapping: write a PodSpec")
    if forbidden:
        raise ValueError("spec.nodeName in that file would go round the scheduler: leave it out")
    if spec.get("restartPolicy", "Never") != "Never":
        raise ValueError("spec.restartPolicy in that file is not Never: leave it out")
    try:
        refuse_restarts(spec, names.MAIN_CONTAINER, "spec")
    except InvalidTemplate as error:
        raise ValueError(f"in that file {error}") from None
