"""Helm in the version of the test cluster, so that charts are rendered identically everywhere."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import binary
from tests.cluster.progress import Progress

PROGRAM = binary.HELM.built / "helm"


def build() -> None:
    """Build helm if this machine has no build of it; takes two minutes once.

    Raises:
        ClusterError: helm cannot be built; the message says what is missing.
    """
    binary.build(binary.HELM, Progress())


def template(chart: Path, namespace: str, settings: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Render the chart as a release called taskruns, and return its objects.

    Args:
        chart: folder of the chart.
        namespace: namespace of the release.
        settings: `name=value` pairs as for `--set`.

    Raises:
        ValueError: helm cannot render the chart; the message is helm's.
    """
    flags = [flag for setting in settings for flag in ("--set", setting)]
    rendered = render(chart, namespace, *flags)
    return [each for each in yaml.load_all(rendered, yaml.CSafeLoader) if each]


def render(chart: Path, namespace: str, *flags: str, release: str = "taskruns") -> str:
    """Render a release and return helm's output.

    Raises:
        ValueError: helm cannot render the chart; the message is helm's.
    """
    rendered = subprocess.run(
        [PROGRAM, "template", release, chart, "--namespace", namespace, *flags],
        env=os.environ | {"GOGC": "off"},  # garbage collection would take a fifth of so short a run
        capture_output=True,
        text=True,
        check=False,
    )
    if rendered.returncode:
        raise ValueError(rendered.stderr.strip())
    return rendered.stdout
