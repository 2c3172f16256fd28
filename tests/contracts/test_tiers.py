"""`make test` runs every tier, because a folder of tests that never runs cannot fail."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]


def test_every_test_module_is_in_a_tier_that_is_run() -> None:
    modules = (path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py"))
    tiers = {"/".join(module.parts[:2]) for module in modules}
    assert tiers <= set(SETTINGS["testpaths"])


def test_contributors_are_told_of_every_tier() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    assert [tier for tier in SETTINGS["testpaths"] if f"`{tier}`" not in page] == []
