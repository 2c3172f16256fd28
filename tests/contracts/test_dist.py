"""The files of a release, except those that need root, or programs of other environments."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from tools import dist
from tools import helm as helm_tool


@pytest.fixture(scope="module")
def folder(helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert helm.exists()
    folder = tmp_path_factory.mktemp("dist")
    dist.wheels(folder)
    dist.chart(folder)
    dist.checksums(folder)
    return folder


def test_a_release_has_two_wheels_and_the_chart_of_one_version(folder: Path) -> None:
    version = dist.version()
    assert {path.name for path in folder.iterdir()} == {
        f"taskruns-{version}-py3-none-any.whl",
        f"airflow_provider_taskruns-{version}-py3-none-any.whl",
        f"taskruns-{version}.tgz",
        dist.CHECKSUMS,
    }


@pytest.mark.parametrize(
    ("name", "package"),
    [("taskruns", "taskruns"), ("airflow_provider_taskruns", "taskruns_airflow")],
)
def test_a_wheel_contains_its_package_alone(folder: Path, name: str, package: str) -> None:
    (wheel,) = folder.glob(f"{name}-*.whl")
    top = {Path(path).parts[0] for path in zipfile.ZipFile(wheel).namelist()}
    assert top == {package, f"{name}-{dist.version()}.dist-info"}
    assert f"{package}/__init__.py" in zipfile.ZipFile(wheel).namelist()


def test_the_packaged_chart_renders_as_its_sources(folder: Path) -> None:
    (package,) = folder.glob("*.tgz")
    assert helm_tool.render(package, "a") == helm_tool.render(dist.CHART, "a")


def test_the_checksums_are_checked_by_sha256sum(folder: Path) -> None:
    check = ["sha256sum", "--check", "--strict", dist.CHECKSUMS]
    assert subprocess.run(check, cwd=folder, check=False, capture_output=True).returncode == 0
    assert (folder / dist.CHECKSUMS).read_text().count("\n") == 3
