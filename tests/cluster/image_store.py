"""The images in a node's containerd, and which of them were put there from here."""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.command import run
from tests.cluster.node import Node

NAMESPACE = "k8s.io"
IMPORT_LIMIT = 300.0


@dataclass(frozen=True)
class ImageStore:
    """containerd's own client, and a record beside it of what each name holds."""

    node: Node

    def ctr(self, *args: str | Path, within: float = 60, check: bool = True) -> str:
        """Run a command of the client; what it printed, empty where it failed unchecked."""
        argv = ["ctr", "--address", self.node.socket, "--namespace", NAMESPACE, *args]
        done = run(argv, within=within, check=check)
        return done.stdout if not done.returncode else ""

    def answers(self) -> bool:
        return self.node.socket.exists() and bool(self.ctr("version", check=False))

    def load(self, archive: Path) -> None:
        self.ctr("images", "import", archive, within=IMPORT_LIMIT)

    def load_as(self, name: str, content: str, archive: Path) -> None:
        """Load it and remember what the name now holds."""
        self.load(archive)
        record = {**self._record(), name: content}
        self.node.images.write_text(json.dumps(record, indent=2) + "\n")

    def holds(self, name: str, content: str) -> bool:
        """Whether that content was loaded under that name."""
        return self._record().get(name) == content

    def _record(self) -> dict[str, str]:
        record = self.node.images
        found: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
        return found
