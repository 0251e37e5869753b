"""The key that a step is stored under: a hash of exactly the arguments that its function is called with.

A function that could see anything else (a closure, a bound method, a partial) is refused, so that no input
can be forgotten. Knows nothing of what the functions do.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any

from pydantic import BaseModel

from iteralign.canonical import content_hash
from iteralign.records.base import Record

BEGINNING = content_hash([])[:20]
"""The key of what a run begins with, which is read once: no arguments, as runs of every version have it."""


def key_of(
    function: Callable[..., Any],
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    *,
    given: int = 0,
    whole: bool = False,
) -> str:
    """The key of a call with these arguments, defaults included: 20 hex digits.

    A None that is a parameter's default is left out. ``given``: so many first
    parameters are filled in later (the items of ``each``) and are no part of it.

    An argument is what its canonical JSON says, and a record whose id covers all of it is its id; ``whole``:
    such a record, too, is identified by its content, as in the keys of runs that older versions began. An
    object that JSON cannot say (a model, an oracle, a trainer) says what its results depend on by an
    attribute ``fingerprint``. Raises ``TypeError`` for one that does not.
    """
    signature = inspect.signature(function)
    call = signature.bind(*[None] * given, *args, **kwargs)
    call.apply_defaults()
    named = list(call.arguments.items())[given:]
    # a parameter that came later, and that None switches off, leaves the keys of older runs as they are
    told = [v for n, v in named if v is not None or signature.parameters[n].default is not None]
    return content_hash([_spelled(v, whole) for v in told])[:20]


def must_be_plain(function: Callable[..., Any], step: str) -> None:
    """Raises ``TypeError`` for a function whose result may depend on more than its arguments."""
    if not isinstance(function, types.FunctionType):
        what = f"{function!r} is not a plain function"
    elif function.__closure__:
        what = (
            f"{function.__qualname__} uses {', '.join(function.__code__.co_freevars)} of the code around it"
        )
    else:
        return
    raise TypeError(
        f"step {step}: {what}, and the step's key would not see what it depends on: "
        "pass a function of a module, and what it needs as arguments"
    )


def _spelled(value: object, whole: bool) -> object:
    if value is None or isinstance(value, str | int | float):
        return value
    kind: Any = type(value)
    if not whole and _is_its_id(kind):
        return value.id  # type: ignore[attr-defined]  # records grow with the run
    if hasattr(type(value), "fingerprint") or "fingerprint" in getattr(value, "__dict__", {}):
        return {"fingerprint": _spelled(value.fingerprint, whole)}  # type: ignore[attr-defined]
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        left_out = getattr(value, "_unless_none", ())
        named = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        told = {n: _spelled(v, whole) for n, v in named if v is not None or n not in left_out}
        return {"type": type(value).__name__, **told}
    if isinstance(value, Mapping):
        return {str(k): _spelled(v, whole) for k, v in value.items()}
    if isinstance(value, list | tuple):
        if value and not whole and all(map(_is_its_id, set(map(type, value)))):
            return " ".join([v.id for v in value])  # all lessons so far: one text is hashed soonest
        return [_spelled(v, whole) for v in value]
    if isinstance(value, AbstractSet):
        return sorted((_spelled(v, whole) for v in value), key=repr)
    if isinstance(value, types.FunctionType) and "<" not in value.__qualname__ and not value.__defaults__:
        return f"{value.__module__}.{value.__qualname__}"
    return value


@cache
def _is_its_id(kind: Any) -> bool:
    """Whether a class is one of records whose ids are made of all their fields."""
    return issubclass(kind, Record) and not kind._identity
