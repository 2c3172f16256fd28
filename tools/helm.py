"""Helm in the version of the test cluster, so that charts are rendered identically everywhere."""

import atexit
import json
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import binary
from tests.cluster.progress import Progress

PROGRAM = binary.HELM.built / "helm"
_BATCH = binary.HELM.built / "helm-batch"


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
    arguments = ["template", release, str(chart), "--namespace", namespace, *flags]
    response = _batch().run(arguments)
    if response["error"]:
        raise ValueError(response["error"])
    return response["output"]


class _Batch:
    """A process that runs helm commands, because starting helm takes longer than rendering."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [_BATCH], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        atexit.register(self._close)

    def run(self, arguments: list[str]) -> dict[str, str]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin  # noqa: S101 - a pipe, as is the next
        assert stdout  # noqa: S101
        stdin.write(json.dumps(arguments) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"{_BATCH.name} ended with exit code {self._process.wait()}")
        response: dict[str, str] = json.loads(line)
        return response

    def _close(self) -> None:
        self._process.communicate()


@cache
def _batch() -> _Batch:
    return _Batch()
