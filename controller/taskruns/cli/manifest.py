"""TaskRuns as people hand them in: a file, standard input, or an image and a command."""

import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from taskruns.api import names
from taskruns.cli.ending import CommandError, ExitCode
from taskruns.cli.place import Object
from taskruns.core.wire import mapping, text

STANDARD_INPUT = "-"
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""Without vowels and look-alikes, as in Kubernetes' own names."""
_PREFIX_LETTERS = 50
"""Of a name that gets a suffix, so that it stays short enough for a label."""

_OF_ONE_RUN = (names.ANNOTATION_COLLECTED, "kubectl.kubernetes.io/last-applied-configuration")
"""Annotations that tell of one TaskRun, and nothing of another that does the same."""


def read_manifest(path: str) -> dict[str, Any]:
    """Read one TaskRun from a YAML or JSON file, or from standard input.

    Raises:
        CommandError: there is no such file, it is no YAML, or it is no single TaskRun.
    """
    where = "standard input" if path == STANDARD_INPUT else path
    try:
        content = sys.stdin.read() if path == STANDARD_INPUT else Path(path).read_text()
        documents = [found for found in yaml.safe_load_all(content) if found is not None]
    except OSError as error:
        raise CommandError(f"{where} cannot be read: {error.strerror}", ExitCode.USAGE) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        why = " ".join(str(error).split())
        raise CommandError(f"{where} is no YAML: {why}", ExitCode.USAGE) from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise CommandError(f"{where} must hold exactly one TaskRun", ExitCode.USAGE)
    found: dict[str, Any] = documents[0]
    return found


def manifest_of(image: str, command: Sequence[str]) -> dict[str, Any]:
    """Make a TaskRun that runs a command in an image; without a command, the image's own."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"generateName": "run-"},
        "spec": {"image": image} | ({"command": list(command)} if command else {}),
    }


def named(manifest: Object, name: str | None = None) -> dict[str, Any]:
    """Give a TaskRun a name: this one, its own, or one from its generateName as an apiserver does.

    What is wrong with it is not looked at here.
    """
    given = manifest.get("metadata")
    if given is not None and not isinstance(given, Mapping):
        return dict(manifest)
    metadata = dict(given or {})
    if name or not metadata.get("name"):
        prefix = metadata.pop("generateName", None) or "run-"
        suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(5))
        metadata["name"] = name or f"{prefix}{suffix}"
    return {**manifest, "metadata": metadata}


def repeated(run: Object, name: str | None) -> dict[str, Any]:
    """Make a TaskRun that does the same again, under a name or one that a suffix makes."""
    metadata = mapping(run.get("metadata"))
    prefix = {"generateName": f"{text(metadata.get('name'))[:_PREFIX_LETTERS]}-"}
    annotations = mapping(metadata.get("annotations")).items()
    kept = {
        "labels": dict(mapping(metadata.get("labels"))),
        "annotations": {key: value for key, value in annotations if key not in _OF_ONE_RUN},
    }
    spec = {
        key: value
        for key, value in mapping(run.get("spec")).items()
        if key not in ("cancel", "suspend")
    }
    body = {"apiVersion": names.API_VERSION, "kind": names.KIND, "spec": spec}
    return named({**body, "metadata": {**prefix, **kept}}, name)


def with_variables(manifest: Object, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return a TaskRun with further variables, under those that it has."""
    spec = dict(mapping(manifest.get("spec")))
    own = list(spec.get("env") or ())
    known = {text(mapping(each).get("name")) for each in own}
    more = [{"name": k, "value": v} for k, v in variables.items() if k not in known]
    return {**manifest, "spec": spec | ({"env": [*more, *own]} if more else {})}
