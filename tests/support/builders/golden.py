"""Files that hold what a rendering gave when somebody last looked at it and agreed."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Golden:
    """Compares texts with the committed ones of a folder, or writes them when asked to update."""

    folder: Path
    update: bool

    def compare(self, name: str, text: str) -> None:
        path = self.folder / name
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.read_text() == text, f"{name} differs: look at it, then --update-golden"
