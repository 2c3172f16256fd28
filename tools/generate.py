"""Write every generated file, or check that each is what would be written.

A file is rendered from its source in the tree it is written to: the models, `values.yaml`, the
chart, the code's own tables. `--check` does the same in a throw-away copy and shows the difference,
so that checking never changes the checkout.
"""

import argparse
import difflib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import ClusterError
from tools import (
    command_line,
    definition,
    docker_fields,
    fields,
    figure,
    guarantees,
    helm,
    install,
    metrics,
    reference,
    values,
)
from tools.dashboard import grafana

ROOT = Path(__file__).parents[1]
SOURCES = ("charts", "crds", "docs", "manifests")
"""Folders with the generated files and the hand-written parts of their sources."""


@dataclass(frozen=True, slots=True)
class Generated:
    """A generated file: its path, and a function that renders it from the tree at a root."""

    path: str
    render: Callable[[Path], str]


FROM_SOURCES = (
    Generated("crds/taskruns.yaml", definition.plain),
    Generated("charts/taskruns/templates/crd.yaml", definition.template),
    Generated("charts/taskruns/values.schema.json", values.schema),
    Generated("charts/taskruns/templates/_defaults.tpl", values.defaults),
    Generated("docs/values.md", values.page),
    Generated("docs/fields.md", fields.page),
    Generated("docs/docker-fields.md", docker_fields.page),
    Generated("docs/reasons.md", reference.reasons),
    Generated("docs/events.md", reference.events),
    Generated("docs/cli.md", command_line.page),
    Generated("docs/architecture.md", figure.page),
    Generated("docs/metrics.md", metrics.page),
    Generated("docs/guarantees.md", guarantees.page),
    Generated(grafana.PATH, grafana.dashboard),
)
BY_HELM = (
    Generated("manifests/install.yaml", install.manifest),
    Generated("manifests/cleanup.yaml", install.cleanup),
)
FILES = FROM_SOURCES + BY_HELM
"""All generated files, in order; helm renders the chart that was generated just before."""


def write(root: Path, files: Sequence[Generated] = FILES) -> None:
    """Write generated files to the tree at `root`."""
    for file in files:
        target = root / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.render(root))


def stale(files: Sequence[Generated] = FILES) -> Iterator[str]:
    """Yield the diff of every file that is not up to date."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for source in SOURCES:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, copy / source)
        write(copy, files)
        for file in files:
            if difference := _difference(file.path, copy):
                yield difference


def _difference(path: str, copy: Path) -> str:
    current = (ROOT / path).read_text() if (ROOT / path).is_file() else ""
    lines = difflib.unified_diff(
        current.splitlines(keepends=True),
        (copy / path).read_text().splitlines(keepends=True),
        fromfile=path,
        tofile=f"{path} (as generated)",
    )
    return "".join(lines)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail with a diff")
    arguments = parser.parse_args()
    try:
        helm.build()
    except ClusterError as error:
        sys.exit(f"helm is needed: {error}")
    try:
        if not arguments.check:
            write(ROOT)
            return 0
        differences = list(stale())
    except guarantees.GuaranteeError as error:
        sys.exit(str(error))
    if differences:
        print("\n".join(differences))
        print("Generated files are not current. Run: make generate")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
