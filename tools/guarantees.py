"""Generator of docs/guarantees.md, from the marks on the tests and a template.

A test that checks a guarantee has the mark `@pytest.mark.guarantee("<sentence>")`; `pytestmark`
marks all tests of a module. The template has the headings, the order and the prose: each of its
list items is the sentence of a guarantee. Modules are parsed, not imported.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.writing import made_from

ROOT = Path(__file__).parents[1]
TEMPLATE = "tools/guarantees.md"
TESTS = "tests"
TIERS = ("e2e", "airflow", "operator", "engine", "api", "unit", "contracts")
"""Folders of the tests; a guarantee's link prefers the first, which uses the most real system."""
_ITEM = re.compile(r"^- (.+(?:\n  .+)*)$", re.MULTILINE)
_TEST_ID = re.compile(r"tests/[\w/]+\.py(?:::\w+)?")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class GuaranteeError(ValueError):
    """The template and the marks on the tests differ."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A guarantee's sentence on a test, or on a whole module (`test` is then empty)."""

    sentence: str
    module: str
    line: int
    test: str = ""

    @property
    def rank(self) -> tuple[int, str, int]:
        """Position among the marks with the same sentence; the first is linked."""
        return TIERS.index(Path(self.module).parts[1]), self.module, self.line

    @property
    def link(self) -> str:
        """Markdown link to the module, with the test's name as its title."""
        title = f' "{self.test}"' if self.test else ""
        return f"[{Path(self.module).stem}](../{self.module}{title})"


def page(_root: Path) -> str:
    """Return the page of all guarantees.

    Raises:
        GuaranteeError: template and marks differ; the message lists every difference.
    """
    text = render((ROOT / TEMPLATE).read_text(), list(marks(ROOT)), ROOT)
    return f"<!-- {made_from(f'{TEMPLATE} and the marks on the tests')} -->\n\n{text}"


def marks(root: Path) -> Iterator[Mark]:
    """Yield the guarantees that are marked on the tests of the repository at `root`."""
    for path in sorted((root / TESTS).rglob("test_*.py")):
        source = path.read_text()
        if "guarantee(" in source:
            yield from marks_of(ast.parse(source), str(path.relative_to(root)))


def marks_of(tree: ast.Module, module: str) -> Iterator[Mark]:
    """Yield the marks in a parsed module: of each test, and of `pytestmark`."""
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTIONS):
            for decorator in node.decorator_list:
                if (sentence := _sentence(decorator)) is not None:
                    yield Mark(sentence, module, node.lineno, node.name)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            values = node.value.elts if isinstance(node.value, ast.List) else [node.value]
            for value in values:
                if (sentence := _sentence(value)) is not None:
                    yield Mark(sentence, module, node.lineno)


def render(template: str, marks: Sequence[Mark], root: Path) -> str:
    """Return the template with a link to a test behind every guarantee.

    Raises:
        GuaranteeError: an item has no mark, a mark has no item, an item occurs twice, or the
            template names a test that does not exist below `root`.
    """
    linked: dict[str, Mark] = {}
    for mark in sorted(marks, key=lambda each: each.rank, reverse=True):
        linked[mark.sentence] = mark
    if errors := [*_differences(template, linked), *_missing_tests(template, root)]:
        raise GuaranteeError("\n".join(errors))
    return _ITEM.sub(lambda item: _row(item, linked), template)


def _row(item: re.Match[str], linked: Mapping[str, Mark]) -> str:
    sentence = _joined(item)
    return f"- {sentence}. {linked[sentence].link}"


def _differences(template: str, linked: Mapping[str, Mark]) -> Iterator[str]:
    sentences = [_joined(item) for item in _ITEM.finditer(template)]
    for sentence in sentences:
        if sentence not in linked:
            yield f"{TEMPLATE}: no test is marked with this guarantee: {sentence}"
        if sentences.count(sentence) > 1:
            yield f"{TEMPLATE}: this guarantee is listed twice: {sentence}"
    for sentence, mark in linked.items():
        if sentence not in sentences:
            yield f"{mark.module}:{mark.line}: {TEMPLATE} does not list this guarantee: {sentence}"


def _missing_tests(template: str, root: Path) -> Iterator[str]:
    for test_id in _TEST_ID.findall(template):
        if not _exists(test_id, root):
            yield f"{TEMPLATE}: this test does not exist: {test_id}"


def _exists(test_id: str, root: Path) -> bool:
    module, _, test = test_id.partition("::")
    if not (root / module).is_file():
        return False
    body = ast.parse((root / module).read_text()).body
    return not test or test in {node.name for node in body if isinstance(node, _FUNCTIONS)}


def _joined(item: re.Match[str]) -> str:
    """Return the sentence of a list item, which the template wraps."""
    return " ".join(item[1].split())


def _sentence(mark: ast.expr) -> str | None:
    """Return the sentence of an expression `pytest.mark.guarantee("...")`, or None for others."""
    if not isinstance(mark, ast.Call) or ast.unparse(mark.func) != "pytest.mark.guarantee":
        return None
    sentence = ast.literal_eval(mark.args[0])
    return str(sentence)
