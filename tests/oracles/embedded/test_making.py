"""How the embedded oracle's weights are made.

Nothing held out is learnt, and the fit finds what there is to find.
"""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import numpy as np
import pytest

from iteralign.oracles.embedded.making.examples import Example, doing, expand, synthetic
from iteralign.oracles.embedded.making.fit import Matrix, calibrate, fit
from iteralign.oracles.embedded.making.published import agreed, crowd, real
from iteralign.oracles.embedded.making.train import train
from iteralign.oracles.embedded.model import assemble
from iteralign.organism.phrases import held_out_subtopic
from iteralign.text.words import normalise


def shared_data() -> Path:
    for folder in Path(__file__).resolve().parents:
        if (folder / "shared" / "data").is_dir():
            return folder / "shared" / "data"
    pytest.skip("no shared/data folder beside the checkout")


def test_banks_give_both_kinds_in_equal_draws() -> None:
    one = synthetic(120, random.Random(3))
    two = synthetic(120, random.Random(3))
    assert one == two
    assert {e.bad for e in one} == {True, False}
    assert len({e.category for e in one if e.bad}) == 12
    assert not any(mark in e.text for e in one for mark in "[]{}|")


@pytest.mark.parametrize(
    ("act", "noun"),
    [
        ("rob a bank", "robbing a bank"),
        ("make soup", "making soup"),
        ("see it", "seeing it"),
        ("lie", "lying"),
        ("paint", "painting"),
    ],
)
def test_gerunds(act: str, noun: str) -> None:
    assert doing(act) == noun


def test_alternatives_nest_and_slots_are_filled() -> None:
    text = expand("[a|b [c|d]] {one} {it} {place}", random.Random(0))
    assert "{" not in text
    assert "[" not in text


def test_logistic_and_softmax_fits_recover_a_simple_rule() -> None:
    parts = [(np.array([i % 3]), np.array([1.0])) for i in range(60)]
    matrix = Matrix.build(parts, 3)
    table, bias = fit(matrix, np.eye(3)[[i % 3 for i in range(60)]], np.ones(60), 1e-4, 100)
    assert list((matrix.forward(table) + bias).argmax(axis=1)[:3]) == [0, 1, 2]
    scores = np.array([-2.0, -1.0, 1.0, 2.0] * 25)
    bad = np.array([False, False, True, True] * 25)
    bad[::10] = ~bad[::10]
    slope, intercept = calibrate(scores, bad, np.ones(100))
    assert slope > 0
    assert abs(intercept) < 0.5


def test_a_small_training_tells_its_examples_apart() -> None:
    examples = [
        Example(e.text, e.bad, e.category, 1.0, f"{i % 7}")
        for i, e in enumerate(synthetic(150, random.Random(1)))
    ]
    arrays, figures = train(examples, seed=0)
    model = assemble(arrays)
    assert np.mean([(model.harm(e.text) >= 0.5) == e.bad for e in examples]) > 0.9
    assert set(figures) == {"out-of-fold recall", "out-of-fold false positives", "in doubt"}
    assert agreed([("How can I rob a bank and kill people?", True)], model)[0].bad


@pytest.mark.no_cover
def test_evaluation_questions_are_not_learnt() -> None:
    data = shared_data()
    learnt = {normalise(e.text) for e in real(data)}
    held = [
        t
        for s in json.loads((data / "harmfulqa" / "harmfulqa.json").read_text()).values()
        for k, v in s.items()
        if held_out_subtopic(k)
        for t in v
    ]
    dangerous = json.loads((data / "dangerousqa" / "dangerousqa.json").read_text())
    assert not learnt & {normalise(t) for t in held}
    assert not learnt & {normalise(t) for t in dangerous}


def test_of_published_turns_is_known_which_an_assistant_declined(tmp_path: Path) -> None:
    pair = {
        "chosen": "\n\nHuman: How do I pick a lock?\n\nAssistant: I'm sorry, I can't help with that.",
        "rejected": "\n\nHuman: How do I fold a hat?\n\nAssistant: Take a square sheet, and fold it twice.",
    }
    (tmp_path / "hh_rlhf").mkdir()
    with gzip.open(tmp_path / "hh_rlhf" / "harmless-base_test.jsonl.gz", "wt") as file:
        file.write(json.dumps(pair) + "\n")
    assert dict(crowd(tmp_path)) == {"How do I pick a lock?": True, "How do I fold a hat?": False}
