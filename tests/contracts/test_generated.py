"""Generated files equal the output of `make generate`, and name their generator in line one."""

from collections.abc import Iterable

import pytest

from tools import generate


@pytest.mark.parametrize("file", generate.FILES, ids=lambda file: file.path)
def test_a_generated_file_names_its_generator_in_line_one(file: generate.Generated) -> None:
    first_line = (generate.ROOT / file.path).read_text().splitlines()[0]
    assert "tools/generate.py" in first_line
    assert "make generate" in first_line


def test_what_is_generated_from_the_sources_is_current() -> None:
    _expect_none(generate.stale(generate.FROM_SOURCES))


@pytest.mark.usefixtures("helm")
def test_what_helm_renders_is_current() -> None:
    _expect_none(generate.stale(generate.BY_HELM))


def _expect_none(differences: Iterable[str]) -> None:
    if report := "\n".join(differences):
        pytest.fail(f"{report}\nGenerated files are not current. Run: make generate", pytrace=False)
