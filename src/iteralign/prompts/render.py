"""Renders the prompt templates and names their versions.

A template sees exactly the fields that it uses: a missing one and an unused one are both errors, so that a
prompt never silently loses a part. Knows nothing of models; the texts live in ``*.jinja`` beside this file,
each opening with a comment.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def source(name: str) -> str:
    """The text of the template ``name``. Raises ``KeyError`` naming the known ones."""
    folder = files("iteralign.prompts")
    path = folder.joinpath(f"{name}.jinja")
    if not path.is_file():
        known = sorted(p.name.removesuffix(".jinja") for p in folder.iterdir() if p.name.endswith(".jinja"))
        raise KeyError(f"no prompt template {name!r}; known: {', '.join(known)}")
    return path.read_text(encoding="utf-8")


def version(*names: str) -> str:
    """A short hash of the templates' text, for records and cache keys."""
    return hashlib.sha256("\0".join(source(n) for n in names).encode()).hexdigest()[:12]


class Templates:
    """Some templates, to be handed to a function that renders them: part of what its result depends on."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self.fingerprint = version(*names)

    def render(self, name: str, **fields: object) -> str:
        """As the function ``render``; ``KeyError`` for a template that is not among these."""
        if name not in self._names:
            raise KeyError(f"template {name!r} is not among {', '.join(self._names)}")
        return render(name, **fields)


@cache
def _compiled(name: str) -> tuple[Any, frozenset[str]]:
    from jinja2 import StrictUndefined, meta
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
    )
    used = frozenset(meta.find_undeclared_variables(environment.parse(source(name))))
    return environment.from_string(source(name)), used


def render(name: str, **fields: object) -> str:
    """The template's text with these fields, stripped. ``TypeError`` where fields are missing or unused."""
    template, used = _compiled(name)
    if set(fields) != used:
        missing = sorted(used - set(fields))
        unused = sorted(set(fields) - used)
        raise TypeError(f"template {name!r}: missing fields {missing}, unused fields {unused}")
    text: str = template.render(**fields)
    return text.strip()
