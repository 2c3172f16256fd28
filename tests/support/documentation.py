"""Shell commands of the documentation, and the mark that says which test runs them.

Every fenced block `sh` has an HTML comment in the line above: `<!-- run: TEST -->` with the id of
the test or fixture that runs it, or `<!-- not run: REASON -->`.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
SECONDS = 280
_BLOCK = re.compile(
    r"^(?: *<!-- (?P<mark>run|not run): (?P<text>[^\n]+) -->\n)?"
    r" *```sh\n(?P<commands>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of commands: its page and line, and its mark, if it has one."""

    page: Path
    line: int
    commands: str
    test: str
    reason: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks `sh` of a page, in order."""
    content = page.read_text()
    for match in _BLOCK.finditer(content):
        line = content.count("\n", 0, match.start("commands"))
        text = match["text"] or ""
        test, reason = (text, "") if match["mark"] == "run" else ("", text)
        yield Block(page, line, dedent(match["commands"]), test, reason)


def commands(test: str) -> str:
    """Return the commands that pages mark with a test or fixture, each block once, in order."""
    marked = [block.commands for page in PAGES for block in blocks(page) if block.test == test]
    assert marked, f"no page marks a block with `<!-- run: {test} -->`"
    return "".join(dict.fromkeys(marked))


def typed(script: str, environment: Mapping[str, str], folder: Path = ROOT) -> str:
    """Run commands in a shell that stops at the first error; return its standard output.

    Raises:
        AssertionError: a command failed; the message has both outputs.
    """
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{script}"],
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout
