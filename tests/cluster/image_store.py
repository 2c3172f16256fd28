"""Images in a node's containerd, with a record of those that this package loaded."""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.command import run
from tests.cluster.node import Node

NAMESPACE = "k8s.io"
IMPORT_LIMIT = 300.0


@dataclass(frozen=True)
class ImageStore:
    """Client of a node's containerd, and a file that records the content of each image name."""

    node: Node

    def ctr(self, *args: str | Path, within: float = 60, check: bool = True) -> str:
        """Run ctr and return its output; empty if it failed and `check` is false."""
        argv = ["ctr", "--address", self.node.socket, "--namespace", NAMESPACE, *args]
        done = run(argv, within=within, check=check)
        return done.stdout if not done.returncode else ""

    def answers(self) -> bool:
        return self.node.socket.exists() and bool(self.ctr("version", check=False))

    def load(self, archive: Path) -> None:
        self.ctr("images", "import", archive, within=IMPORT_LIMIT)

    def load_as(self, name: str, content: str, archive: Path) -> None:
        """Load an archive, and record its content under a name."""
        self.load(archive)
        record = {**self._record(), name: content}
        self.node.images.write_text(json.dumps(record, indent=2) + "\n")

    def holds(self, name: str, content: str) -> bool:
        """Return whether this content was loaded under this name."""
        return self._record().get(name) == content

    def _record(self) -> dict[str, str]:
        record = self.node.images
        contents: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
        return contents
