"""TaskRuns as people hand them in: a file, standard input, or an image and a command."""

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from taskruns.api import names
from taskruns.cli.ending import CommandError, ExitCode

STANDARD_INPUT = "-"
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""Without vowels and look-alikes, as in Kubernetes' own names."""


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
    return named(documents[0])


def manifest_of(
    image: str, command: Sequence[str], name: str | None, **spec: Any
) -> dict[str, Any]:
    """Make a TaskRun that runs a command in an image; without a command, the image's own."""
    given = {key: value for key, value in spec.items() if value}
    if command:
        given["command"] = list(command)
    metadata = {"name": name} if name else {"generateName": "run-"}
    return named(
        {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": metadata,
            "spec": {"image": image, **given},
        }
    )


def named(manifest: dict[str, Any]) -> dict[str, Any]:
    """Give a TaskRun that has only a generateName a name, as an apiserver does."""
    metadata = dict(manifest.get("metadata") or {})
    if not metadata.get("name"):
        suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(5))
        metadata["name"] = f"{metadata.get('generateName') or 'run-'}{suffix}"
    return {**manifest, "metadata": metadata}
