"""Reading the end of a file from a tar archive, for any length of the file and its name."""

import asyncio
import io
import tarfile

import pytest
from typing_extensions import override

from taskruns.engines.docker.tarball import empty_file, end_of_file

LIMIT = 100


class Counting(asyncio.StreamReader):
    """Stream that records the largest number of bytes requested at once."""

    most = 0

    @override
    async def readexactly(self, n: int) -> bytes:
        self.most = max(self.most, n)
        return await super().readexactly(n)


def archived(
    content: bytes = b"", name: str = "return.json", kind: bytes = tarfile.REGTYPE,
    dialect: int = tarfile.PAX_FORMAT,
) -> bytes:  # fmt: skip
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.linkname = kind, len(content), "elsewhere"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=dialect) as archive:
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def streamed(data: bytes) -> Counting:
    stream = Counting()
    stream.feed_data(data)
    stream.feed_eof()
    return stream


@pytest.mark.parametrize("content", [b"", b"1", b"x" * (LIMIT - 1) + b"y", b"\0" * 512])
async def test_a_file_within_the_limit_is_read_completely(content: bytes) -> None:
    expected = content[-LIMIT:]
    assert await end_of_file(streamed(archived(content)), LIMIT) == expected


async def test_a_long_file_is_read_in_pieces_and_its_end_is_kept() -> None:
    stream = streamed(archived(b"x" * 3_000_000 + b"the end"))
    end = await end_of_file(stream, LIMIT)
    assert (len(end), end[-8:]) == (LIMIT, b"xthe end")
    assert stream.most <= 1 << 16


@pytest.mark.parametrize("dialect", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("name", ["n" * 300, "ä" * 200])
async def test_a_long_name_comes_before_its_file(name: str, dialect: int) -> None:
    assert await end_of_file(streamed(archived(b"42", name, dialect=dialect)), LIMIT) == b"42"


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 1024, b"no archive" * 100, archived(kind=tarfile.DIRTYPE),
     archived(kind=tarfile.SYMTYPE), archived(kind=tarfile.FIFOTYPE), empty_file("/a/b")],
    ids=["nothing", "no entry", "no archive", "a folder", "a link", "a pipe", "an empty file"],
)  # fmt: skip
async def test_an_entry_that_is_not_a_file_is_empty(data: bytes) -> None:
    assert await end_of_file(streamed(data), LIMIT) == b""


async def test_a_truncated_file_is_an_error() -> None:
    whole = archived(b"x" * 2000)
    with pytest.raises(EOFError):
        await end_of_file(streamed(whole[:1500]), LIMIT)
