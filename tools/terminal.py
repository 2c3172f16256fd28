"""Generator of the terminal pictures in the README (`make picture-cli`), from real commands."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tests.cluster import ClusterError
from tests.support.command_line import CommandLine
from tools.demo.host import daemon
from tools.demo.screen import Screen

FOLDER = Path(__file__).resolve().parents[1] / "docs"
WIDTH = 100
FONT = '"DejaVu Sans Mono", Menlo, Consolas, monospace'

_LINE_UP, _ERASE = "\x1b[1A", "\x1b[2K"

THEME = TerminalTheme(
    (24, 26, 31),
    (220, 223, 228),
    [
        (40, 44, 52), (224, 108, 117), (152, 195, 121), (229, 192, 123),
        (97, 175, 239), (198, 120, 221), (86, 182, 194), (220, 223, 228),
    ],
)  # fmt: skip
TASKS = (
    ("hello", ("echo hello",)),
    ("rows", ("echo '{\"rows\": 42}' > /dev/termination-log",)),
    ("import-orders", ("echo reading the input; sleep 2; echo no such table: orders; exit 3",)),
)
SHOWN = {
    "run": "run --name nightly --image busybox:1 -- sh -c 'echo reading 3 files; exit 0'",
    "list": "list",
    "describe": "describe import-orders",
}
"""Command line of each picture, by the picture's name."""


def draw() -> None:
    """Run the commands and draw the pictures."""
    with tempfile.TemporaryDirectory() as folder, daemon(Screen()) as environment:
        taskrun = CommandLine(dict(environment) | {"TASKRUNS_STATE_DIR": folder})
        with _tidied(taskrun):
            for name, (script,) in TASKS:
                taskrun("run", "--name", name, "--image", "busybox:1", "--", "sh", "-c", script)
            for name, line in SHOWN.items():
                _picture(name, line, _output(taskrun, line))


@contextmanager
def _tidied(taskrun: CommandLine) -> Iterator[None]:
    """Delete the runs and their containers after the block, even if it fails."""
    try:
        yield
    finally:
        for name in taskrun("list", "-o", "name").stdout.split():
            taskrun("delete", name.rpartition("/")[2])


def _output(taskrun: CommandLine, line: str) -> str:
    """Return the terminal output of a command."""
    before, _, script = line.partition(" sh -c ")
    words = [*before.split(), *(["sh", "-c", script.strip("'")] if script else [])]
    with taskrun.at_terminal(*words, COLUMNS=str(WIDTH)) as terminal:
        code = terminal.wait()
    if code:
        raise ClusterError(f"`taskrun {line}` exited with {code}: {terminal.shown}")
    return terminal.shown


def _picture(name: str, line: str, shown: str) -> None:
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True)
        console.print(Text.assemble(("$ ", "dim"), (f"taskrun {line}", "bold")))
        console.print(Text.from_ansi(_at_rest(shown)))
        path = FOLDER / f"cli-{name}.svg"
        console.save_svg(str(path), title=f"taskrun {name}", theme=THEME, unique_id=name)
    # The library refers to a font on the network; a picture must not load one.
    style = path.read_text()
    while "@font-face" in style:
        begin = style.index("@font-face")
        style = style[:begin].rstrip() + style[style.index("}", begin) + 1 :]
    path.write_text(style.replace("Fira Code, monospace", FONT).replace("Fira Code", "monospace"))


def _at_rest(shown: str) -> str:
    """Return the final content of a terminal, without lines that were overwritten."""
    rest: list[str] = []
    for line in shown.split("\n"):
        del rest[len(rest) - line.count(_LINE_UP) :]
        rest.append(line.rpartition(_ERASE)[2].replace("\r", ""))
    return "\n".join(rest).strip()


if __name__ == "__main__":
    try:
        draw()
    except ClusterError as error:
        sys.exit(f"no pictures: {error}")
