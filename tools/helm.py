"""Helm, as the test cluster builds it or as it is installed."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml


class HelmMissingError(RuntimeError):
    """There is no helm on this machine; the message says what to type."""


def program() -> str:
    """Find helm.

    Raises:
        HelmMissingError: it is neither built nor installed.
    """
    found = shutil.which("helm")
    if found is None:
        raise HelmMissingError("helm is needed: install it, or run `make cluster-up`, which does")
    return found


def template(chart: Path, namespace: str, settings: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Render a release called taskruns; `settings` are `name=value` as for `--set`.

    Raises:
        ValueError: the chart cannot be rendered so; the message is helm's.
    """
    flags = [flag for setting in settings for flag in ("--set", setting)]
    rendered = subprocess.run(
        [program(), "template", "taskruns", str(chart), "--namespace", namespace, *flags],
        capture_output=True,
        text=True,
        check=False,
    )
    if rendered.returncode:
        raise ValueError(rendered.stderr.strip())
    return [each for each in yaml.safe_load_all(rendered.stdout) if each]
