"""The refusal of what only a cluster can do."""

ELSEWHERE = "Docker has nothing like it: leave it out, or run it on a cluster"


class Unsupported(Exception):
    """A field that Docker cannot do; the message names it and what to use instead."""

    def __init__(self, where: str, instead: str = ELSEWHERE) -> None:
        super().__init__(f"{where} is not supported on Docker: {instead}")
