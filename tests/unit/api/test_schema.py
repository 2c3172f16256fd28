"""Conversion of a model to a structural schema: rewritten keywords and refused ones."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model

from taskruns.api.crd import UnsupportedSchema, structural
from tests.support.builders import structural_schema as checker


class Colour(StrEnum):
    """A colour."""

    RED = "red"
    BLUE = "blue"


class Leaf(BaseModel):
    """A leaf."""

    size: int = 1


class Tree(BaseModel):
    """A tree."""

    trees: list["Tree"] | None = None


def field_schema(annotation: Any, **field: Any) -> Any:
    model = create_model("Example", part=(annotation, Field(**field)))
    return structural(model)["properties"]["part"]


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (str | None, {"type": "string"}),
        (dict[str, str], {"type": "object", "additionalProperties": {"type": "string"}}),
        (
            dict[str, Any],
            {
                "type": "object",
                "additionalProperties": {"x-kubernetes-preserve-unknown-fields": True},
            },
        ),
        (Annotated[int, Field(gt=0, lt=9)], {
            "type": "integer", "minimum": 0, "exclusiveMinimum": True,
            "maximum": 9, "exclusiveMaximum": True,
        }),
        (Literal["only"], {"type": "string", "enum": ["only"]}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
    ],
)  # fmt: skip
def test_a_type_is_expressed_in_the_terms_of_a_crd(annotation: Any, expected: Any) -> None:
    assert field_schema(annotation) == expected


def test_a_referenced_definition_is_inlined() -> None:
    assert field_schema(Leaf | None) == {
        "description": "A leaf.",
        "type": "object",
        "properties": {"size": {"type": "integer"}},
    }


def test_a_fields_description_takes_precedence_over_its_types() -> None:
    schema = field_schema(Colour | None, description="Of the door.")
    assert schema == {
        "description": "Of the door.",
        "type": "string",
        "enum": ["red", "blue"],
    }


@pytest.mark.parametrize(
    ("bounds", "sentence"),
    [
        ({"ge": 0, "le": 10}, "At least 0 and at most 10."),
        ({"gt": 0}, "More than 0."),
        ({"lt": 9}, "Less than 9."),
        ({"ge": 1, "le": 2**31 - 1}, "At least 1."),
    ],
)
def test_a_description_ends_with_the_bounds(bounds: dict[str, int], sentence: str) -> None:
    assert field_schema(int, description="A number.", **bounds)["description"] == (
        f"A number. {sentence}"
    )


def test_defaults_are_dropped_from_a_crd() -> None:
    assert field_schema(int, default=3) == {"type": "integer"}


@pytest.mark.parametrize(
    ("annotation", "named"),
    [
        (int | str, "has one type"),
        (tuple[int, str], "prefixItems"),
        (set[str], "uniqueItems"),
        (datetime, "format"),
        (Annotated[str, Field(json_schema_extra={"readOnly": True})], "readOnly"),
    ],
)
def test_an_unsupported_keyword_is_rejected_with_the_name_of_the_field(
    annotation: Any, named: str
) -> None:
    with pytest.raises(UnsupportedSchema, match=rf"Example\.part: .*{named}"):
        field_schema(annotation)


def test_a_model_that_forbids_unknown_fields_is_rejected() -> None:
    class Closed(BaseModel):
        model_config = ConfigDict(extra="forbid")

    with pytest.raises(UnsupportedSchema, match="additionalProperties"):
        structural(Closed)


def test_a_model_that_contains_itself_is_rejected() -> None:
    with pytest.raises(UnsupportedSchema, match="contains itself"):
        structural(Tree)


def test_every_generated_schema_is_structural() -> None:
    assert [each for each in checker.problems(structural(Leaf)) if each] == []
