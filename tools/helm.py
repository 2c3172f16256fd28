"""Helm: the one that the test cluster is built with, so that everybody renders alike."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import binary
from tests.cluster.progress import Progress

PROGRAM = binary.HELM.built / "helm"


def build() -> None:
    """Build helm where that has not been done on this machine: two minutes, once.

    Raises:
        ClusterError: it cannot be built; the message says what is missing.
    """
    binary.build(binary.HELM, Progress())


def template(chart: Path, namespace: str, settings: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Render a release called taskruns; `settings` are `name=value` as for `--set`.

    Raises:
        ValueError: the chart cannot be rendered so; the message is helm's.
    """
    flags = [flag for setting in settings for flag in ("--set", setting)]
    return [each for each in yaml.safe_load_all(render(chart, namespace, *flags)) if each]


def render(chart: Path, namespace: str, *flags: str, release: str = "taskruns") -> str:
    """Render a release; return helm's output.

    Raises:
        ValueError: the chart cannot be rendered so; the message is helm's.
    """
    rendered = subprocess.run(
        [PROGRAM, "template", release, chart, "--namespace", namespace, *flags],
        capture_output=True,
        text=True,
        check=False,
    )
    if rendered.returncode:
        raise ValueError(rendered.stderr.strip())
    return rendered.stdout
