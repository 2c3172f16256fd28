"""Any arguments and any input give one readable line, a documented exit code, no traceback."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from taskruns.api.names import API_VERSION, KIND
from taskruns.cli.exit_status import ExitCode
from taskruns.cli.main import COMMANDS
from tests.support.builders import schemas
from tests.support.command_line import Ended, here

CODES = set(ExitCode)
SAMPLES = sorted((Path(__file__).parents[3] / "manifests/samples").glob("*.yaml"))
OPTIONS = tuple(
    """--on --image --name --namespace -n --context --kubeconfig -o -A --attempt --timeout --env -e
    --env-file --secret --detach -q --follow -f --as --client -- - docker kubernetes json yaml
    table name busybox:1 1 -1 0.5 x /dev/null . A=b n/k=v""".split()  # noqa: SIM905 - words
)

words = st.sampled_from([*COMMANDS, *OPTIONS]) | st.text(max_size=8)
arguments = st.lists(words, max_size=6)
commands = st.sampled_from([*COMMANDS])
HEAD = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "a"}}


def check(done: Ended) -> None:
    assert "internal error" not in done.err, done.err
    assert "Traceback" not in done.err
    assert done.code in CODES
    if done.code:
        assert done.err


@given(commands, arguments)
def test_any_arguments_end_without_a_traceback(command: str, more: Sequence[str]) -> None:
    given_words = [word for word in (command, *more) if "\0" not in word]
    done = here(*given_words)
    check(done)
    assert len(done.err.splitlines()) <= 1 + (command == "validate")


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """Return a sample in which a part is replaced."""
    content = draw(st.sampled_from(SAMPLES)).read_bytes()
    begin = draw(st.integers(0, len(content)))
    end = draw(st.integers(begin, min(begin + 20, len(content))))
    return content[:begin] + draw(st.binary(max_size=6)) + content[end:]


@given(mutilated() | st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_ends_without_a_traceback(content: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        for command in (["validate"], ["render"], ["render", "--on", "docker"], ["run"]):
            check(here(*command, file.name))


@given(schemas.SPECS | schemas.ANYTHING)
def test_any_spec_ends_without_a_traceback(spec: object) -> None:
    content = yaml.safe_dump(HEAD | {"spec": spec}).encode()
    valid = here("validate", "-", stdin=content)
    check(valid)
    rendered = here("render", "-", stdin=content)
    check(rendered)
    assert rendered.code == valid.code


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 1100,
        b"a: &a [x]\n" + b"".join(b"k%d: &b%d [*a, *a]\n" % (i, i) for i in range(9)),
        b"a: &a ["
        + b"z," * 99
        + b"]\nb: &b ["
        + b"*a," * 99
        + b"]\nc: &c ["
        + b"*b," * 99
        + b"]\nd: ["
        + b"*c," * 99
        + b"]\n",
        b"a: &a\n  b: *a\n",
        b"\xff\xfe",
        b"a: 0x" + b"f" * 100_000,
        b"---\n---\n",
        b"",
    ],
)
def test_hostile_files_are_refused(content: bytes) -> None:
    done = here("validate", "-", stdin=content)
    check(done)
    assert done.code
