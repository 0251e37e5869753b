"""Prompts from wherever they are: a file, a known set by its name, the shipped sets, or the hub.

Says what was read, what was dropped as a repeat, and what looked odd. Knows nothing of splits or models.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from iteralign.data.columns import Columns, with_columns
from iteralign.data.fields import Layout, to_asked
from iteralign.data.files import FORMATS, must_be_file, read_rows
from iteralign.data.hub import hub_file, hub_rows, names_a_file
from iteralign.data.registry import (
    CONTRAST,
    DATA_VARIABLE,
    EMBEDDED,
    KNOWN_SETS,
    KnownSet,
    find_file,
    in_xstest_layout,
    known_set,
    set_of_hash,
    unknown_name,
)
from iteralign.data.rows import Row
from iteralign.data.sample import stratified
from iteralign.data.seeds import benign_set, red_team_set
from iteralign.data.sources import HUB, field_of
from iteralign.errors import DataError
from iteralign.records.iteralign import Intent, RedTeamPrompt
from iteralign.text.words import comparable


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSet:
    """What was loaded.

    ``rows``: rows that hold a prompt, before anything was dropped; ``duplicates``: rows dropped because an
    earlier one says the same but for case and punctuation; ``left_out``: rows that hold no prompt of the kind
    wanted (XSTest's unsafe contrasts, or its safe prompts); ``skipped``: turns of tools, which are no part of
    a prompt; ``sha256``: of the file's bytes, empty where
    there is no file; ``warnings``: in words; ``places``: prompt id -> file and line, as messages name it.
    """

    name: str
    prompts: tuple[RedTeamPrompt, ...]
    rows: int
    duplicates: int
    sha256: str = ""
    licence: str = ""
    warnings: tuple[str, ...] = ()
    left_out: int = 0
    skipped: int = 0
    places: Mapping[str, str] = field(default_factory=dict)


def load_prompts(
    path: str | Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    intent: Intent = "harmful",
    columns: Columns | None = None,
) -> list[RedTeamPrompt]:
    """The prompts of ``path``, in the set's order; see ``load_set``.

    What looked odd is given as a Python warning.
    """
    loaded = load_set(path, limit=limit, seed=seed, intent=intent, columns=columns)
    for text in loaded.warnings:
        warnings.warn(text, UserWarning, stacklevel=2)
    return list(loaded.prompts)


def places_of(
    path: str | Path, intent: Intent = "harmful", columns: Columns | None = None
) -> Mapping[str, str]:
    """Prompt id -> the file and line that it comes from. Raises ``DataError``."""
    return load_set(path, intent=intent, columns=columns).places


def load_set(
    path: str | Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    intent: Intent = "harmful",
    folder: Path | None = None,
    columns: Columns | None = None,
) -> PromptSet:
    """The prompts of a file or of a set.

    A set is a known one, ``embedded``, ``embedded-benign``, ``hub:OWNER/NAME``, or a file there:
    ``hub:OWNER/NAME/FILE``.

    ``FILE::FIELD`` names the field of the question, also behind a hub set; ``columns`` name any field. A
    known set's name is looked for as a file of that name,
    then in ``folder`` and ``$ITERALIGN_DATA``, then on the hub. Repeats (case and punctuation aside) are
    dropped, the first stays. ``limit``: a sample of so many, drawn by ``seed`` within each
    category and intent, in the set's order. ``intent`` is that of rows that do not state their own; a known
    set of benign prompts has its own. Raises ``DataError``.
    """
    if limit is not None and limit < 1:
        raise DataError(f"limit = {limit}: must be at least 1, or none for all prompts")
    loaded = _load(str(path), intent, folder, columns)
    chosen = stratified([(p.category, p.intent) for p in loaded.prompts], limit, seed)
    return replace(loaded, prompts=tuple(loaded.prompts[i] for i in chosen))


def _load(name: str, intent: Intent, folder: Path | None, columns: Columns | None) -> PromptSet:
    if not name.strip():
        raise DataError("no data set is named: give a file's path, a known set's name, or hub:OWNER/NAME")
    file, field = field_of(name)
    if file.startswith(HUB):
        address = file.removeprefix(HUB)
        if names_a_file(address):
            return _load_file(hub_file(address), intent, field, None, columns)
        rows = with_columns(hub_rows(address), columns, file)
        if not field and not columns and in_xstest_layout(rows):
            return _xstest(rows, intent, None, address)
        return _build(address.partition("?")[0], rows, intent, Layout(question=field))
    if name in EMBEDDED:
        if columns:
            raise DataError(f"{name}: the shipped set has no columns to name. Leave them away")
        own = red_team_set() if name == "embedded" else benign_set()
        return PromptSet(name=name, prompts=tuple(own), rows=len(own), duplicates=0, licence="Apache-2.0")
    path = Path(file).expanduser()
    known = known_set(file)
    if path.is_file():
        return _load_file(path, intent, field, None, columns)
    if known is not None:
        return _load_known(known, intent, field, folder, columns)
    if path.is_dir():
        held = ", ".join(sorted(p.name for p in path.iterdir() if p.is_file())[:8]) or "no files"
        raise DataError(f"{file}: is a folder. Name a file in it ({FORMATS}); it holds {held}.")
    must_be_file(path)
    if path.suffix or len(path.parts) > 1:
        raise DataError(
            f"{file}: no such file. Check the path; known sets are named without one: "
            f"{', '.join([*EMBEDDED, 'harmfulqa'])}, ..."
        )
    raise unknown_name(file)


def _load_known(
    known: KnownSet, intent: Intent, field: str | None, folder: Path | None, columns: Columns | None
) -> PromptSet:
    path = find_file(known, folder)
    if path is not None:
        return _load_file(path, intent, field, known, columns)
    places = f"${DATA_VARIABLE} (as {known.files[0]})"
    if known.hub is None:
        raise DataError(
            f"{known.name}: not found in {places}, and it is not on the hub. Set {DATA_VARIABLE} to its "
            "folder, or give the file's path."
        )
    try:
        rows = hub_rows(known.hub)
    except DataError as error:
        raise DataError(f"{known.name}: not found in {places}, and {error}") from error
    rows = with_columns(rows, columns, known.name)
    if known.name == "xstest" and not columns:
        return _xstest(rows, known.intent, field, known.name)
    loaded = _build(known.name, rows, _intent_of(known, intent), _layout_of(known, field, columns))
    if known.all_harmful:
        loaded = _stated(loaded)
    return replace(loaded, licence=known.licence, warnings=(*loaded.warnings, *_evaluation_warning(known)))


def _load_file(
    path: Path, intent: Intent, field: str | None, known: KnownSet | None, columns: Columns | None
) -> PromptSet:
    rows, sha256 = read_rows(path)
    rows = with_columns(rows, columns, str(path))
    said: tuple[str, ...] = ()
    if known is not None and known.pinned and sha256 not in known.pinned:
        said = (
            f"{path}: its content (sha256 {sha256[:12]}...) is not the one that {known.name} was checked "
            "with "
            f"({' or '.join(h[:12] for h in known.pinned)}...); results may not compare with others on this "
            "set",
        )
    by_layout = known is None and field is None and not columns and in_xstest_layout(rows)
    known = known or set_of_hash(sha256)
    if by_layout or (known is not None and known.name == "xstest" and not columns):
        loaded = _xstest(rows, intent if known is None else known.intent, field, str(path))
        said += loaded.warnings
    elif known is None:
        loaded = _build(path.name, rows, intent, Layout(question=field), str(path))
        said += loaded.warnings
    else:
        layout = _layout_of(known, field, columns)
        loaded = replace(
            _build(known.name, rows, _intent_of(known, intent), layout, str(path)), licence=known.licence
        )
        if known.all_harmful:
            loaded = _stated(loaded)
        said += (*loaded.warnings, *_evaluation_warning(known))
    return replace(loaded, sha256=sha256, warnings=said)


def _xstest(rows: Sequence[Row], intent: Intent, field: str | None, place: str) -> PromptSet:
    """XSTest's prompts of the intent that is asked for.

    The unsafe ones where harmful prompts are asked for and there are some, else the safe ones, which look
    harmful.
    """
    known = KNOWN_SETS["xstest"]
    wanted = intent == "harmful" and any(map(_unsafe, rows))
    own = [r for r in rows if _unsafe(r) == wanted]
    loaded = _build(known.name, own, "harmful" if wanted else known.intent, _layout_of(known, field), place)
    if wanted:
        loaded = _stated(loaded)
    return replace(
        loaded,
        licence=known.licence,
        warnings=(*loaded.warnings, *_evaluation_warning(known)),
        left_out=len(rows) - len(own),
    )


def _unsafe(row: Row) -> bool:
    """What a row of XSTest says by its label; the older table has none, and says it by the type."""
    fields = (
        {str(k).strip().lower(): str(v).strip().lower() for k, v in row.value.items()}
        if isinstance(row.value, dict)
        else {}
    )
    label = fields.get("label", "")
    return label != "safe" if label in ("safe", "unsafe") else fields.get("type", "").startswith(CONTRAST)


def _layout_of(known: KnownSet, field: str | None, columns: Columns | None = None) -> Layout:
    """What a known set's fields mean; a field or columns that the user names go before."""
    if columns and ("prompt" in columns or "messages" in columns):
        return Layout(question=field)
    return replace(known.layout, question=field) if field else known.layout


def _intent_of(known: KnownSet, intent: Intent) -> Intent:
    return intent if known.intent == "harmful" else known.intent


def _stated(loaded: PromptSet) -> PromptSet:
    """The set, whose harmful prompts are known to ask for harm."""
    prompts = tuple(replace(p, intent_stated=True) if p.intent == "harmful" else p for p in loaded.prompts)
    return replace(loaded, prompts=prompts)


def _evaluation_warning(known: KnownSet) -> tuple[str, ...]:
    return (
        (
            f"{known.name} was published as a test: models trained on it (replay counts) should not be "
            "measured on it",
        )
        if known.evaluation_only
        else ()
    )


def _build(source: str, rows: Sequence[Row], intent: Intent, layout: Layout, place: str = "") -> PromptSet:
    read = [to_asked(r, source=source, intent=intent, layout=layout) for r in rows]
    found = [prompt for prompt, _ in read]
    if not found:
        raise DataError(f"{place or source}: holds no prompts")
    distinct: dict[tuple[str, ...], RedTeamPrompt] = {}
    places: dict[str, str] = {}
    for row, prompt in zip(rows, found, strict=True):
        distinct.setdefault(tuple(comparable(m.text) for m in prompt.messages), prompt)
        places.setdefault(prompt.id, row.where)
    skipped = sum(n for _, n in read)
    return PromptSet(
        name=source,
        prompts=tuple(distinct.values()),
        rows=len(found),
        duplicates=len(found) - len(distinct),
        skipped=skipped,
        warnings=_skipped_warning(place or source, skipped),
        places=places,
    )


def _skipped_warning(place: str, skipped: int) -> tuple[str, ...]:
    if not skipped:
        return ()
    turns = "1 turn of a tool was" if skipped == 1 else f"{skipped:,} turns of tools were"
    return (f"{place}: {turns} skipped; what stands around them is asked",)
