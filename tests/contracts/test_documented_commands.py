"""Each command that a page shows is run by a test, or the page says why not."""

import ast
import re
from pathlib import Path

import pytest

from tests.support.documentation import PAGES, ROOT, Block, blocks

BLOCKS = [block for page in PAGES for block in blocks(page)]
TESTED = [block for block in BLOCKS if block.test]


def test_every_block_names_a_test_or_a_reason() -> None:
    unmarked = (block for block in BLOCKS if not block.test and len(block.reason.split()) < 4)
    assert [block.place for block in unmarked] == []


def test_commands_are_in_blocks_of_one_language() -> None:
    """Blocks of other languages for shells would not be seen."""
    others = re.compile(r"^ *```(?:bash|console|shell|zsh|sh .*)$", re.MULTILINE)
    assert [page.name for page in PAGES if others.search(page.read_text())] == []


@pytest.mark.parametrize("block", TESTED, ids=lambda block: block.place)
def test_a_test_that_is_named_runs_the_documented_commands(block: Block) -> None:
    module, _, name = block.test.partition("::")
    source = (ROOT / module).read_text()
    functions = {
        node.name: ast.get_source_segment(source, node) or ""
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef)
    }
    assert name in functions, block.test
    body = functions[name]
    assert "documented" in body or f'commands("{block.test}")' in body, "it does not read the page"


PUBLISHED = re.compile(r"pip install [^\n]*(?<![\w./-])(?:airflow-provider-)?taskruns\b")
"""An installation by name, from an index."""


def test_no_page_installs_a_package_that_is_not_published() -> None:
    assert PUBLISHED.search("pip install 'taskruns[cli]'")
    assert not PUBLISHED.search("pip install '.[cli]' ./provider")
    assert [page.name for page in PAGES if PUBLISHED.search(page.read_text())] == []


def test_a_block_without_a_mark_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("- item\n\n  ```sh\n  one\n  ```\n\n<!-- run: a::b -->\n```sh\ntwo\n```\n")
    unmarked, marked = blocks(page)
    assert (unmarked.commands, unmarked.test, unmarked.reason) == ("one\n", "", "")
    assert (marked.commands, marked.test) == ("two\n", "a::b")
