"""In which line each value of a YAML or JSON text stands, so that an error can name it. Knows nothing of
constitutions.
"""

from __future__ import annotations

import re
from typing import Any

Path = tuple[str | int, ...]
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+')


def of_yaml(root: Any) -> dict[Path, int]:
    """Line (from 1) of each value by its path, of PyYAML's nodes; an alias stands where its anchor does."""
    import yaml

    found: dict[Path, int] = {}
    pending: list[tuple[Path, Any]] = [((), root)] if root is not None else []
    while pending:
        path, node = pending.pop()
        if path in found or len(path) > 4:  # deeper values are no part of a constitution
            continue
        found[path] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            pending += [((*path, str(key.value)), value) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            pending += [((*path, index), value) for index, value in enumerate(node.value)]
    return found


def of_json(text: str) -> dict[Path, int]:
    """Line (from 1) of each value by its path, of a text that is known to be JSON."""
    import json

    found: dict[Path, int] = {}
    stack: list[str | int] = []  # the key or the index of every open object or array
    name: str | None = None  # an object's key that waits for its value
    line = 1
    seen = 0  # characters whose line feeds are counted
    for match in _TOKEN.finditer(text):
        token = match[0]
        line += text.count("\n", seen, match.start())
        seen = match.start()
        if token == ",":
            if stack and isinstance(stack[-1], int):
                stack[-1] += 1
        elif token in "]}":
            stack.pop()
        elif token != ":":
            in_object = bool(stack) and isinstance(stack[-1], str)
            if in_object and name is None:
                name = json.loads(token)
                stack[-1] = name if name is not None else ""
                continue
            found.setdefault(tuple(stack), line)
            name = None
            if token == "[":
                stack.append(0)
            elif token == "{":
                stack.append("")
    return found
