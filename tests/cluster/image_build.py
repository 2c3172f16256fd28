"""Builds of Dockerfiles, from the sources to a cluster's containerd."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster import place
from tests.cluster.docker_engine import DockerEngine
from tests.cluster.error import ClusterError
from tests.cluster.progress import Progress
from tests.cluster.python_base import PythonBase

BASE = "BASE"


@dataclass(frozen=True)
class ImageBuild:
    """A Dockerfile, its context, and the tag by which Pods use the image."""

    tag: str
    context: Path
    dockerfile: Path | None = None
    build_args: Mapping[str, str] = field(default_factory=dict)
    suite: str = "trixie"

    @property
    def file(self) -> Path:
        file = self.dockerfile or self.context / "Dockerfile"
        if not file.is_file():
            raise ClusterError(f"cannot build {self.tag}: {file} does not exist")
        return file

    def run(
        self, loaded: Callable[[str], bool], load: Callable[[str, Path], None], progress: Progress
    ) -> str:
        """Build the image and return its id.

        Args:
            loaded: returns whether the cluster has an image id.
            load: loads an archive under an image id; called for a new id.
            progress: receives progress lines.
        """
        engine, base = DockerEngine.for_builds(), PythonBase(self.suite)
        takes_base = f"ARG {BASE}" in self.file.read_text() and BASE not in self.build_args
        archive = base.archive(progress) if takes_base else None
        with engine.running(progress):
            if archive:
                engine.load(base.tag, archive, progress)
            args = {**({BASE: base.tag} if takes_base else {}), **self.build_args}
            made = engine.build(self.tag, self.file, self.context, args, progress)
            if loaded(made):
                return made
            progress.say(f"loading {self.tag} into the cluster")
            with tempfile.TemporaryDirectory(dir=place.cache()) as scratch:
                saved = Path(scratch) / "image.tar"
                engine.docker("save", "--output", saved, self.tag)
                load(made, saved)
        return made
