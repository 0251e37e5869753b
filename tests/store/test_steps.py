"""once and each: the stored is never asked again, the stale never returned, and a crash changes nothing."""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iteralign.errors import StoreError
from iteralign.records.base import Record
from iteralign.records.chat import Message
from iteralign.records.iteralign import RedTeamPrompt
from iteralign.store.run import Event, Run, Scope
from remembering import each, once


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(Record):
    text: str
    score: float = 0.0


def notes(*texts: str) -> list[Note]:
    return [Note(text=t) for t in texts]


def start(directory: Path) -> Run:
    return Run.create(directory / "run", {"seed": 0, "stop": {"iterations": 3}}, "seed: 0\n")


class Asked:
    """A compute function that remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def __call__(self, part: Sequence[Note]) -> list[Note]:
        self.batches.append([n.text for n in part])
        return [Note(text=n.text.upper(), score=1.0) for n in part]


def test_a_finished_step_is_not_computed_again(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        assert once(run.scope("s"), "a", list[Note], lambda: notes("x"), 1) == notes("x")
    with start(tmp_path) as run:
        assert once(run.scope("s"), "a", list[Note], lambda: pytest.fail("asked again"), 1) == notes("x")
        assert [e.fields["state"] for e in run.events("step")] == ["started", "done", "reused"]


def test_other_inputs_are_computed_anew_and_replace_what_was_there(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        once(run.scope("s"), "a", int, lambda: 1, "old")
        assert once(run.scope("s"), "a", int, lambda: 2, "new") == 2
        assert run.read(int, "s", "a") == [2]
        (event,) = run.events("superseded")
        assert "s/a was made of other inputs before" in event.fields["text"]


def test_a_value_is_the_same_on_the_first_day_and_when_read_back(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        first = once(run.scope("s"), "a", dict[str, float], lambda: {"b": 2.0, "a": 1})
    with start(tmp_path) as run:
        again = once(run.scope("s"), "a", dict[str, float], dict)
    assert list(first) == list(again) == ["a", "b"]
    assert first == again
    assert all(isinstance(v, float) for v in first.values())


def test_each_cuts_fixed_chunks_keeps_order_and_computes_equal_items_once(tmp_path: Path) -> None:
    asked = Asked()
    items = notes("c", "a", "b", "a", "d", "e")
    with start(tmp_path) as run:
        found = each(run.scope("s"), "up", Note, items, asked, chunk=2)
        assert [n.text for n in found] == ["C", "A", "B", "A", "D", "E"]
        assert asked.batches == [["c", "a"], ["b", "d"], ["e"]]
        assert [n.text for n in run.read(Note, "s", "up")] == ["C", "A", "B", "D", "E"]


def test_a_resumed_each_asks_for_the_very_chunks_that_are_missing(tmp_path: Path) -> None:
    items = notes(*"abcdefg")
    asked = Asked()

    def dies(part: Sequence[Note]) -> list[Note]:
        if part[0].text == "e":
            raise KeyboardInterrupt
        return asked(part)

    with pytest.raises(KeyboardInterrupt), start(tmp_path) as run:
        each(run.scope("s"), "up", Note, items, dies, chunk=2)
    with start(tmp_path) as run:
        assert [n.text for n in run.read(Note, "s", "up")] == ["A", "B", "C", "D"]
        each(run.scope("s"), "up", Note, items, asked, chunk=2)
    assert asked.batches == [["a", "b"], ["c", "d"], ["e", "f"], ["g"]]
    with start(tmp_path) as run:
        states = [(e.fields["state"], e.fields["done"]) for e in run.events("step")]
    assert states == [
        ("started", 0),
        ("progress", 2),
        ("progress", 4),
        ("started", 4),
        ("progress", 6),
        ("done", 7),
    ]


def test_calls_of_one_step_share_what_they_store(tmp_path: Path) -> None:
    asked = Asked()
    with start(tmp_path) as run:
        scope = run.scope("evaluation")
        each(scope, "responses", Note, notes("a", "b"), asked, "model", chunk=2)
        each(scope, "responses", Note, notes("x", "y"), asked, "model", chunk=2)
        each(scope, "responses", Note, notes("a", "b", "x", "y"), asked, "model", chunk=2)
        digest = run.digest()
    assert asked.batches == [["a", "b"], ["x", "y"]]
    with start(tmp_path) as run:
        each(run.scope("evaluation"), "responses", Note, notes("a", "b", "x", "y"), asked, "model", chunk=3)
        assert run.digest() == digest
    assert len(asked.batches) == 2


def test_a_chunk_that_lacks_one_result_is_asked_whole_and_what_is_stored_stays(tmp_path: Path) -> None:
    asked = Asked()
    with start(tmp_path) as run:
        each(run.scope("s"), "up", Note, notes("a"), asked)
        found = each(
            run.scope("s"),
            "up",
            Note,
            notes("a", "b"),
            lambda part: [Note(text=f"other {n.text}") for n in part],
        )
        assert [n.text for n in found] == ["A", "other b"]


def test_no_items_is_nothing(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        assert each(run.scope("s"), "up", Note, [], lambda part: pytest.fail("asked")) == []
        assert run.read(Note, "s", "up") == []


def test_too_few_results_name_the_step_and_store_nothing(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        with pytest.raises(StoreError, match="s/judge gave 1 results for 2 items"):
            each(run.scope("s"), "judge", Note, notes("a", "b"), lambda part: notes("x"))
        assert run.read(Note, "s", "judge") == []


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (float, float("nan"), "cannot be stored"),
        (str, "half \ud800", "cannot be stored"),
        (int, object(), "object cannot be written as JSON"),
        (list[Note], [1, 2], r"is no list\[Note\] when read back"),
    ],
)
def test_a_value_that_could_not_be_read_back_is_refused_before_it_is_stored(
    tmp_path: Path, kind: object, value: object, message: str
) -> None:
    with start(tmp_path) as run:
        with pytest.raises(
            StoreError, match=rf"step s/bad gave a value that.*{message}|step s/bad.*{message}"
        ):
            once(run.scope("s"), "bad", kind, lambda: value)
        assert run.scopes() == []


def test_what_follows_a_changed_step_is_not_current_until_it_is_asked_for_again(tmp_path: Path) -> None:
    """An each whose own inputs are unchanged must not keep results of items that are gone."""

    def program(run: Run, first: str, judge: Callable[[Sequence[Note]], list[Note]]) -> None:
        answers = once(run.scope("i1"), "answers", list[Note], lambda: notes(first, "same"), first)
        each(run.scope("i1"), "judge", Note, answers, judge, "oracle-1", chunk=1)
        once(run.scope(f"evaluation-{first}"), "harm", int, lambda: 1)

    asked = Asked()
    with start(tmp_path) as run:
        program(run, "old", asked)
    with start(tmp_path) as run:
        program(run, "new", asked)
        assert [n.text for n in run.read(Note, "i1", "judge")] == ["NEW", "SAME"]
        assert run.scopes() == ["i1", "evaluation-new"]
        digest = run.digest()
    assert asked.batches == [["old"], ["same"], ["new"]]
    with start(tmp_path / "fresh") as run:
        program(run, "new", asked)
        assert run.digest() == digest


class Crash(Exception):
    """Stands for a kill."""


def hashed(*values: object) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:8]


@dataclass
class Session:
    """One process's life: steps, each made of what came before. It dies at its n-th piece of work."""

    parameters: Sequence[int]
    crash_at: int | None
    finished: set[tuple[str, str]] = field(default_factory=set)
    worked: int = 0

    def work(self, *pieces: tuple[str, str]) -> None:
        assert not self.finished & set(pieces), "a stored item was asked again"
        self.worked += 1
        if self.worked == self.crash_at:
            raise Crash

    def run(self, run: Run, shapes: Sequence[tuple[bool, int, int]]) -> None:
        state = "start"
        for number, (is_each, size, chunk) in enumerate(shapes):
            scope = run.scope(f"scope-{number // 2}")
            name = f"step-{number}"
            state = hashed(state, self.parameters[number])
            state = self.each(scope, name, state, size, chunk) if is_each else self.once(scope, name, state)

    def once(self, scope: Scope, name: str, state: str) -> str:
        def compute() -> str:
            self.work((name, state))
            return hashed(name, state)

        value = once(scope, name, str, compute, state)
        self.finished.add((name, state))
        return value

    def each(self, scope: Scope, name: str, state: str, size: int, chunk: int) -> str:
        items = notes(*(f"{state} {i * i % 7}" for i in range(size)))
        before: list[tuple[str, str]] = []

        def compute(part: Sequence[Note]) -> list[Note]:
            self.finished.update(before)  # the chunk before this one was stored
            before[:] = [(name, n.text) for n in part]
            self.work(*before)
            return notes(*(hashed(n.text) for n in part))

        results = each(scope, name, Note, items, compute, chunk=chunk)  # no inputs but the items
        self.finished.update((name, n.text) for n in items)
        return hashed([r.text for r in results])


SHAPES = st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(1, 4)), min_size=1, max_size=5)


@settings(max_examples=150, deadline=None)
@given(
    SHAPES,
    st.lists(st.tuples(st.lists(st.integers(0, 1), min_size=5, max_size=5), st.integers(1, 9)), max_size=5),
    st.booleans(),
)
def test_any_crashes_and_changes_end_as_if_nothing_had_happened(
    shapes: list[tuple[bool, int, int]], lives: list[tuple[list[int], int]], steady: bool
) -> None:
    """``steady``: the inputs never change. Otherwise each life may start with other ones."""
    last = [0] * 5
    finished: set[tuple[str, str]] = set()
    # hundreds of short-lived runs: no disk has to see them
    in_memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=in_memory) as folder:
        for parameters, crash_at in lives:
            try:
                with start(Path(folder) / "broken") as run:
                    Session(last if steady else parameters, crash_at, finished).run(run, shapes)
            except Crash:
                continue
        with start(Path(folder) / "broken") as run, start(Path(folder) / "whole") as whole:
            Session(last, None, finished).run(run, shapes)
            Session(last, None).run(whole, shapes)
            assert run.digest() == whole.digest()
            assert [run.read(Note, f"scope-{i // 2}", f"step-{i}") for i, s in enumerate(shapes) if s[0]] == [
                whole.read(Note, f"scope-{i // 2}", f"step-{i}") for i, s in enumerate(shapes) if s[0]
            ]


def damage(run_directory: Path, old: str, new: str) -> None:
    db = sqlite3.connect(run_directory / "run.sqlite")
    changed = db.execute(
        "UPDATE steps SET value = replace(value, ?, ?) WHERE instr(value, ?)", (old, new, old)
    ).rowcount
    db.commit()
    db.close()
    assert changed


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("question b", "question B", "does not fit the content"),
        ('"source"', '"sauce"', "sauce"),
        ("{", "", "Expecting value|Extra data|delimiter"),
    ],
)
def test_a_damaged_row_is_named(tmp_path: Path, old: str, new: str, why: str) -> None:
    prompts = [RedTeamPrompt(messages=(Message("user", f"question {t}"),), source="t") for t in "abc"]
    with start(tmp_path) as run:
        each(run.scope("iteration-0001"), "asked", RedTeamPrompt, prompts, lambda part: list(part))
    damage(tmp_path / "run", old, new)
    with start(tmp_path) as run:
        for attempt in (
            lambda: run.read(RedTeamPrompt, "iteration-0001", "asked"),
            lambda: each(
                run.scope("iteration-0001"), "asked", RedTeamPrompt, prompts, lambda part: list(part)
            ),
        ):
            with pytest.raises(
                StoreError,
                match=r"run\.sqlite, table steps, scope 'iteration-0001', step 'asked', item 'prompt-",
            ) as caught:
                attempt()
            assert caught.match(why)


def test_a_damaged_row_that_is_two_values_is_named_too(tmp_path: Path) -> None:
    with start(tmp_path) as run:
        once(run.scope("s"), "a", int, lambda: 7)
    damage(tmp_path / "run", "7", "7,8")
    with (
        start(tmp_path) as run,
        pytest.raises(StoreError, match="scope 's', step 'a': a stored value is damaged"),
    ):
        once(run.scope("s"), "a", int, lambda: 7)


def test_deleting_a_damaged_row_has_it_computed_again(tmp_path: Path) -> None:
    asked = Asked()
    with start(tmp_path) as run:
        each(run.scope("s"), "up", Note, notes("a", "b", "c"), asked, chunk=1)
        digest = run.digest()
    db = sqlite3.connect(tmp_path / "run" / "run.sqlite")
    db.execute("DELETE FROM steps WHERE value LIKE '%\"B\"%'")
    db.commit()
    db.close()
    with start(tmp_path) as run:
        each(run.scope("s"), "up", Note, notes("a", "b", "c"), asked, chunk=1)
        assert run.digest() == digest
    assert asked.batches == [["a"], ["b"], ["c"], ["b"]]


def test_a_listener_is_told_after_storing_and_what_it_raises_loses_nothing(tmp_path: Path) -> None:
    told: list[Event] = []

    def breaks(event: Event) -> None:
        told.append(event)
        if event.fields["state"] == "progress":
            raise Crash

    with start(tmp_path) as run:
        run.listen(breaks)
        with pytest.raises(Crash):
            each(run.scope("s"), "up", Note, notes("a", "b"), Asked(), chunk=1)
        assert [n.text for n in run.read(Note, "s", "up")] == ["A"]
        assert run.events() == told
    with start(tmp_path) as run:
        asked = Asked()
        each(run.scope("s"), "up", Note, notes("a", "b"), asked, chunk=1)
    assert asked.batches == [["b"]]


def test_threads_share_a_run(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with start(tmp_path) as run, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: run.event("warning", text=str(i)), range(40)))
        assert sorted(int(e.fields["text"]) for e in run.events("warning")) == list(range(40))
        assert [e.seq for e in run.events()] == list(range(1, 41))
