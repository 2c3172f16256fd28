"""What a person types, and what is said of what makes no sense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskruns.cli.manifest import manifest_of, with_variables
from taskruns.engines.docker.expansion import expanded
from tests.support.command_line import here


def test_without_a_command_the_help_is_shown_as_it_is_meant_to_be_read() -> None:
    ended = here()
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == here("--help").out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run"], "name a file, or an image and a command. See taskrun run --help"),
        (["list", "more"], "Got unexpected extra argument (more). See taskrun list --help"),
        (["run", "--imag", "x"], "Did you mean '--image'? See taskrun run --help"),
        (["lost"], "No such command 'lost'. See taskrun --help"),
    ],
)
def test_what_makes_no_sense_is_told_in_sentences(arguments: list[str], sentence: str) -> None:
    ended = here(*arguments)
    assert ended.code != 0
    assert sentence in ended.err
    assert len(ended.err.splitlines()) == 1


@given(st.text(st.sampled_from("$()NA")))
def test_words_and_variables_are_taken_as_they_are_typed(word: str) -> None:
    manifest = with_variables(manifest_of("busybox:1", [word]), {"NAME": word})
    (typed,), (variable,) = manifest["spec"]["command"], manifest["spec"]["env"]
    known = {"N": "value", "A": "value", "": "value", "NA": "value"}
    assert (expanded(typed, known), expanded(variable["value"], known)) == (word, word)
