"""Golden files: reviewed copies of rendered output."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Golden:
    """Compare texts with the committed files of a folder, or overwrite the files on update."""

    folder: Path
    update: bool

    def compare(self, name: str, text: str) -> None:
        path = self.folder / name
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.read_text() == text, f"{name} differs: look at it, then --update-golden"
