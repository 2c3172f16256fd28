"""Files that hold what a rendering gave when somebody last looked at it and agreed."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("golden")


@dataclass(frozen=True)
class Golden:
    """Compares texts with committed ones, or writes them when asked to update."""

    update: bool

    def compare(self, name: str, text: str) -> None:
        path = FOLDER / name
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.read_text() == text, f"{name} differs: look at it, then --update-golden"
