"""Cached binaries of the test cluster: content keys and pinned modules."""

import re
from pathlib import Path

import pytest

from tests.cluster import binary
from tests.cluster.binary import Module


def test_the_key_follows_content_and_names(tmp_path: Path) -> None:
    first, same, second = tmp_path / "a", tmp_path / "x" / "a", tmp_path / "b"
    same.parent.mkdir()
    for path in (first, same, second):
        path.write_text("module m\n")
    key = binary.content_key(["-s"], [first])
    assert binary.content_key(["-s"], [same]) == key
    assert binary.content_key(["-s"], [second]) != key
    assert binary.content_key(["-w"], [first]) != key
    first.write_text("module n\n")
    assert binary.content_key(["-s"], [first]) != key


def test_words_do_not_run_into_each_other() -> None:
    assert binary.content_key(["ab", "c"]) != binary.content_key(["a", "bc"])


@pytest.mark.parametrize("module", [*binary.ALL, binary.KWOK], ids=lambda module: str(module.name))
def test_every_module_is_pinned(module: Module) -> None:
    assert re.search(r"^go 1\.\d+", (module.folder / "go.mod").read_text(), re.MULTILINE)
    if module.targets == ("tool",):
        assert (module.folder / "go.sum").is_file()


def test_kubernetes_is_told_its_own_version() -> None:
    flags = " ".join(binary.KUBERNETES.flags())
    version = re.search(r"k8s\.io/kubernetes v(1\.\d+\.\d+)\b", _kubernetes())
    assert version
    assert binary.KUBERNETES.kubernetes == version[1]
    assert f"-X k8s.io/component-base/version.gitVersion=v{version[1]}" in flags
    assert "gitVersion" not in " ".join(binary.HELM.flags())


def test_every_staging_module_has_the_same_release() -> None:
    replaced = re.findall(r"^\tk8s\.io/\S+ => k8s\.io/\S+ (\S+)$", _kubernetes(), re.MULTILINE)
    assert len(replaced) > 25
    assert set(replaced) == {"v0.36.3"}


def _kubernetes() -> str:
    return (binary.KUBERNETES.folder / "go.mod").read_text()
