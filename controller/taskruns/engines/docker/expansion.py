"""`$(NAME)` in commands, arguments and variables, as Kubernetes fills it in."""

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(\$|\((?P<name>[^()$]*)\))")


def expanded(word: str, env: Mapping[str, str]) -> str:
    """Fill in the variables that are known; others stay as they are, and `$$` is one `$`."""

    def fill_in(found: re.Match[str]) -> str:
        name = found["name"]
        return "$" if name is None else env.get(name, found[0])

    return _REFERENCE.sub(fill_in, word)
