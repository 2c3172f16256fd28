"""Generated files equal the output of `make generate`, and name their generator in line one."""

from collections.abc import Iterable

import pytest

from tools import generate


def test_every_generated_file_names_its_generator_in_line_one() -> None:
    first_lines = {
        file.path: (generate.ROOT / file.path).read_text().splitlines()[0]
        for file in generate.FILES
    }
    names = ("tools/generate.py", "make generate")
    unnamed = [path for path, line in first_lines.items() if not all(n in line for n in names)]
    assert unnamed == []


def test_what_is_generated_from_the_sources_is_current() -> None:
    _expect_none(generate.stale(generate.FROM_SOURCES))


@pytest.mark.usefixtures("helm")
def test_what_helm_renders_is_current() -> None:
    _expect_none(generate.stale(generate.BY_HELM))


def _expect_none(differences: Iterable[str]) -> None:
    if report := "\n".join(differences):
        pytest.fail(f"{report}\nGenerated files are not current. Run: make generate", pytrace=False)
