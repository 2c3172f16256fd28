"""Images of the test cluster: archives, caching, and Dockerfile builds."""

import json
import tarfile
from pathlib import Path

import pytest

from tests.cluster import archive, image
from tests.cluster.archive import image_id_of
from tests.cluster.error import ClusterError
from tests.cluster.image_build import ImageBuild
from tests.cluster.progress import Progress
from tests.cluster.python_base import PythonBase


@pytest.fixture
def made(tmp_path: Path) -> Path:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    layer = archive.Layer(
        tmp_path / "layer.tar",
        folders={"tmp": 0o1777},
        programs={"bin/program": program},
        links={"bin/p": "/bin/program"},
        texts={"etc/name": "x\n"},
    )
    layer.write()
    path = tmp_path / "image.tar"
    archive.write(path, [layer.path], archive.Settings("amd64", command=("p",)), ["busybox:1"])
    return path


def test_an_image_names_its_parts_by_their_digests(made: Path) -> None:
    with tarfile.open(made) as tar:
        member = tar.extractfile("manifest.json")
        assert member
        (entry,) = json.load(member)
        config = tar.extractfile(entry["Config"])
        assert config
        layers = json.load(config)["rootfs"]["diff_ids"]
        assert [f"sha256:{name.removesuffix('/layer.tar')}" for name in entry["Layers"]] == layers
        assert entry["RepoTags"] == ["busybox:1"]
    assert image_id_of(made) == f"sha256:{entry['Config'].removesuffix('.json')}"


def test_the_same_content_makes_the_same_image(made: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.tar"
    settings = archive.Settings("amd64", command=("p",))
    archive.write(again, [tmp_path / "layer.tar"], settings, ["busybox:1"])
    assert again.read_bytes() == made.read_bytes()


def test_everybody_may_use_the_temporary_folder(tmp_path: Path, made: Path) -> None:
    assert made.exists()
    with tarfile.open(tmp_path / "layer.tar") as layer:
        assert layer.getmember("tmp").mode == 0o1777
        assert layer.getmember("bin/p").linkname == "/bin/program"


def test_what_is_cached_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls: list[Path] = []

    def make(scratch: Path, path: Path) -> None:
        calls.append(scratch)
        path.write_text("image")

    paths = {image.cached("it", "key", Progress(lambda _: None), make) for _ in range(2)}
    assert len(paths) == len(calls) == 1
    assert not calls[0].exists()


def test_half_an_image_is_never_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def fail(_: Path, path: Path) -> None:
        path.write_text("half")
        raise ClusterError("no")

    with pytest.raises(ClusterError):
        image.cached("it", "key", Progress(lambda _: None), fail)
    assert not list(tmp_path.rglob("*.tar"))


def test_a_dynamic_program_is_told_from_a_static_one() -> None:
    def program(kind: int) -> bytes:
        header = bytearray(64)
        header[32:40] = (64).to_bytes(8, "little")
        header[54:58] = (56).to_bytes(2, "little") + (1).to_bytes(2, "little")
        return bytes(header) + kind.to_bytes(4, "little") + bytes(52)

    assert image.needs_interpreter(program(3))
    assert not image.needs_interpreter(program(1))


def test_the_python_image_is_called_as_the_official_one() -> None:
    assert PythonBase().tag == "python:3.13-slim"
    assert PythonBase("bookworm").tag == "python:3.11-slim"
    with pytest.raises(ClusterError, match="sid"):
        _ = PythonBase("sid").tag


def test_a_missing_dockerfile_is_said(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"cannot build x: .*Dockerfile does not exist"):
        _ = ImageBuild("x", tmp_path).file
