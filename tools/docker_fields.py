"""Generator of docs/docker-fields.md, from the table by which the Docker engine checks fields."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from taskruns.engines.docker.fields import HARMLESS, HONOURED, IGNORED, REFUSED
from tools.writing import made_from

SOURCE = "controller/taskruns/engines/docker/fields.py"

INTRODUCTION = """\
# Fields on a Docker host

Every field of a Pod is honoured, ignored for a reason, or refused before anything starts; see
[docker.md](docker.md). A path is that in core/v1's PodSpec, which is `template.spec` of a TaskRun;
`containers[]` is the main container, whose usual fields stand in the TaskRun's `spec` itself. A
field that is not on this page is refused.
"""


def page(_root: Path) -> str:
    """Return the text of the page."""
    return "\n".join(
        (
            f"<!-- {made_from(SOURCE)} -->\n\n{INTRODUCTION}",
            _table(
                "Honoured",
                "A field of the request that creates the container is named as Docker's Engine API "
                "names it.",
                ("field", "effect"),
                ((path, field.effect) for path, field in HONOURED.items()),
            ),
            _table(
                "Accepted with the value of a Docker host",
                "Any other value is refused.",
                ("field", "why", "value"),
                (
                    (path, field.effect, field.kind.words.removeprefix("write ").split(",")[0])
                    for path, field in HARMLESS.items()
                ),
            ),
            _table(
                "Ignored",
                "These cannot change how the work runs on a Docker host.",
                ("field", "why"),
                IGNORED.items(),
            ),
            _table(
                "Refused",
                "A field below one of these is refused, too.",
                ("field", "do instead"),
                REFUSED.items(),
            ),
        )
    )


def _table(
    title: str, words: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]
) -> str:
    return f"## {title}\n\n{words}\n\n" + "".join(_lines(columns, rows))


def _lines(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |\n"
    yield "|---" * len(columns) + "|\n"
    for path, *cells in rows:
        yield f"| {' | '.join([f'`{path}`', *cells])} |\n"
