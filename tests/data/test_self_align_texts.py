"""What people wrote for Self-Align: how much it is, its forms, what it never holds, and how a user's own
files are refused.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from itertools import combinations
from pathlib import Path

import pytest

import iteralign
from iteralign.data import self_align_texts as texts
from iteralign.errors import DataError

MODALITY = re.findall(r"\w+", "image picture graph file map draw plot video audio chart photo music")
FOLDER = Path(iteralign.__file__).parent / "data" / "self_align"


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


def rouge_l(a: Sequence[str], b: Sequence[str]) -> float:
    """The F-measure of the longest common subsequence, by the textbook's table."""
    row = [0] * (len(b) + 1)
    for x in a:
        above = row
        row = [0]
        for j, y in enumerate(b, start=1):
            row.append(above[j - 1] + 1 if x == y else max(above[j], row[-1]))
    return 2 * row[-1] / (len(a) + len(b))


def test_everything_that_people_wrote_is_less_than_300_lines() -> None:
    lines = texts.human_lines()
    assert lines["seed_tasks.txt"] == 175
    assert lines["topics.txt"] == 20
    assert lines["rules.yaml"] == 17
    assert lines["exemplars.yaml"] == 18
    assert sum(lines[f] for f in texts.FILES) < 260
    assert sum(lines.values()) < 300
    assert set(lines) == {p.name for p in FOLDER.iterdir()} | {f"{t}.jinja" for t in texts.TEMPLATES}


def test_lines_are_counted_the_plain_way() -> None:
    for path in FOLDER.iterdir():
        plain = [
            x for x in path.read_text(encoding="utf-8").splitlines() if x.strip() and not x.startswith("#")
        ]
        assert texts.human_lines()[path.name] == len(plain)
    assert texts.human_lines()["three_lines.jinja"] == 3
    assert texts.human_lines()["extensive.jinja"] == 1


def test_seed_tasks_are_single_plain_instructions() -> None:
    assert len(texts.seed_tasks()) == 175
    for task in texts.seed_tasks():
        assert task.isascii(), task
        assert task[0].isalpha(), task
        assert task[-1] in ".?!", task
        assert 5 <= len(task.split()) <= 40, task
        assert not [w for w in MODALITY if w in task.lower()], task


def test_no_two_seed_tasks_say_nearly_the_same() -> None:
    for a, b in combinations([*texts.seed_tasks(), *(t.request for t in texts.topic_seeds())], 2):
        assert rouge_l(words(a), words(b)) <= 0.5, (a, b)


def test_seed_tasks_open_in_many_ways() -> None:
    assert len({words(t)[0] for t in texts.seed_tasks()}) > 80


def test_each_of_twenty_types_has_a_topic_and_a_request() -> None:
    seeds = texts.topic_seeds()
    assert len({s.type for s in seeds}) == len(seeds) == 20
    assert {"Latest events", "False premises", "Harmful requests", "Yes-or-no facts", "Predictions"} <= {
        s.type for s in seeds
    }
    for seed in seeds:
        assert 1 <= len(seed.topic.split()) <= 3, seed
        assert seed.topic[0].isupper(), seed
        assert seed.topic[-1].isalpha(), seed
        assert seed.request[-1] in ".?", seed


def test_there_are_sixteen_rules_and_one_more_in_the_variant() -> None:
    names = [r.name for r in texts.rules()]
    assert names == [
        "ethical",
        "informative",
        "helpful",
        "question assessment",
        "reasoning",
        "multi-aspect",
        "candor",
        "knowledge recitation",
        "static",
        "clarification",
        "numerical sensitivity",
        "dated knowledge",
        "step-by-step",
        "balanced perspectives",
        "creative",
        "operational",
    ]
    assert [r.name for r in texts.rules(variant=True)] == [*names, "multilingual"]
    for rule in texts.rules(variant=True):
        assert 12 <= len(rule.text.split()) <= 35, rule


def test_exemplars_name_rules_that_there_are_in_their_order() -> None:
    assert len(texts.exemplars()) == 5
    assert len(texts.exemplars(variant=True)) == 6
    for variant in (False, True):
        known = [r.name for r in texts.rules(variant)]
        for exemplar in texts.exemplars(variant):
            assert exemplar.rules
            assert [n for n in known if n in exemplar.rules] == list(exemplar.rules)
            assert exemplar.thoughts.startswith("This asks ")
            assert not re.search(r"\d", exemplar.thoughts), "code adds the rules' numbers"
    assert all(15 <= len(e.answer.split()) <= 50 for e in texts.exemplars())
    assert 30 <= len(texts.exemplars(variant=True)[5].answer.split()) <= 80


def test_an_exemplar_takes_three_lines() -> None:
    lines = [
        x
        for x in (FOLDER / "exemplars.yaml").read_text(encoding="utf-8").splitlines()
        if not x.startswith("#")
    ]
    assert [re.split(r'"', x)[0] for x in lines] == ["- question: ", "  thoughts: ", "  answer: "] * 6


def test_short_prompts_and_identity_call_the_assistant_by_its_name() -> None:
    prompts = texts.short_prompts("Ada")
    assert len(set(prompts)) == 8
    assert prompts[0].startswith("You are Ada, ")
    assert all(len(p.split()) <= 20 for p in prompts)
    pairs = texts.identity("Ada")
    assert len(pairs) == 6
    assert "Ada" in pairs[0][1]
    everything = " ".join([*prompts, *(t for pair in pairs for t in pair)])
    assert "{" not in everything
    for told in (
        "language model",
        "iteralign's Self-Align",
        "no body",
        "ends with my training",
        "do not learn from chats",
    ):
        assert told in everything


def test_a_file_opens_with_what_it_is() -> None:
    for path in FOLDER.iterdir():
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert "request" in json.loads(first) if path.suffix == ".jsonl" else first.startswith("# ")


def test_the_wheel_takes_the_texts_along() -> None:
    project = next(p / "pyproject.toml" for p in Path(__file__).parents if (p / "pyproject.toml").is_file())
    patterns = tomllib.loads(project.read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"][
        "iteralign"
    ]
    for name in texts.FILES:
        assert any(fnmatch(f"data/self_align/{name}", p) for p in patterns), name


def test_own_files_are_read_in_the_same_formats(tmp_path: Path) -> None:
    path = tmp_path / "own"
    path.write_bytes("\ufeff# mine\r\n\r\n Boil an egg. \r\nWas ist ein Vogel?\r\n".encode())
    assert texts.read_lines(path) == ("Boil an egg.", "Was ist ein Vogel?")
    path.write_text("Sums | Pipes | What is 1 | 2 in C?\n", encoding="utf-8")
    assert texts.read_topics(path) == (texts.TopicSeed("Sums", "Pipes", "What is 1 | 2 in C?"),)
    path.write_text(
        "- name: yes\n  text: |\n    Say yes.\n- {name: 'no', text: 'Say no: mean it.'}\n", encoding="utf-8"
    )
    rules = texts.read_rules(path)
    assert rules == (texts.Rule("yes", "Say yes."), texts.Rule("no", "Say no: mean it."))
    path.write_text(
        "- question: 7\n  thoughts: 'Seven. Rules that apply: no, yes.'\n  answer: 8\n", encoding="utf-8"
    )
    assert texts.read_exemplars(path, rules)[0].rules == ("no", "yes")
    assert texts.read_exemplars(path)[0].answer == "8"


EXEMPLAR = "- {question: 'Why?', answer: So., thoughts: '%s'}\n"


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (texts.read_lines, "# nothing\n\n", r"own: holds no line\. Write one item a line"),
        (texts.read_lines, "One.\nTwo.\n\nOne.\n", r"own, line 4: repeats line 1\. Leave one"),
        (
            texts.read_topics,
            "# T\nSums | Pipes\n",
            r"own, line 2: no request in 'Sums \| Pipes'\. Write: Type \| Topic \| Request",
        ),
        (texts.read_topics, "Sums\n", r"own, line 1: no topic in 'Sums'"),
        (texts.read_topics, " | Pipes | Why?\n", r"own, line 1: no type"),
        (texts.read_topics, "Sums | Pipes | Why?\n" * 2, r"own, line 2: repeats line 1"),
        (texts.read_rules, "", r"own: holds no list\. Write a list of mappings with the fields name, text"),
        (texts.read_rules, "name: kind\n", r"own: holds no list"),
        (
            texts.read_rules,
            "- {name: kind, text: Be kind.}\n- just text\n",
            r"own, line 2: no text in the field name",
        ),
        (texts.read_rules, "- {name: kind, text: ''}\n", r"own, line 1: no text in the field text"),
        (texts.read_rules, "- {name: kind, text: [a]}\n", r"own, line 1: no text in the field text"),
        (texts.read_rules, "- {name: kind, text: a, why: b}\n", r"own, line 1: a field too many \(why\)"),
        (
            texts.read_rules,
            "- {name: kind, text: a, text: b}\n",
            r"own, line 1: a field too many \(one of them twice\)",
        ),
        (
            texts.read_rules,
            "- {name: 'kind, fair', text: a}\n",
            r"own, line 1: name 'kind, fair' holds a comma",
        ),
        (
            texts.read_rules,
            "- {name: kind, text: a}\n- {name: kind, text: b}\n",
            r"own, line 2: name 'kind' is another rule's too",
        ),
        (texts.read_rules, "- name: kind\n\ttext: Be kind.\n", r"own, line 2: not YAML"),
        (texts.read_rules, "- \x00\n", r"own, line 1: a control character"),
        (texts.read_rules, "[" * 5000, r"own, line 1: nested more than 100 deep"),
        (
            texts.read_exemplars,
            EXEMPLAR % "I just answer.",
            r"own, line 1: thoughts do not end by naming rules\. Close them with",
        ),
        (
            texts.read_exemplars,
            "- {question: 'Why?', answer: So.}\n",
            r"own, line 1: no text in the field thoughts",
        ),
    ],
)
def test_a_bad_file_is_refused_with_place_and_remedy(
    read: Callable[[Path], object], content: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "own"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message) as told:
        read(path)
    assert str(tmp_path) in str(told.value)


def test_thoughts_that_name_a_strange_rule_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own"
    path.write_text(EXEMPLAR % "Hm. Rules that apply: kind, bold.", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"line 1: thoughts name the rule 'bold', which there is not\. Known: kind"
    ):
        texts.read_exemplars(path, [texts.Rule("kind", "Be kind.")])


@pytest.mark.parametrize(
    "read", [texts.read_lines, texts.read_topics, texts.read_rules, texts.read_exemplars]
)
def test_a_file_that_is_no_text_is_refused(read: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none: cannot be read .* Check the path"):
        read(tmp_path / "none")
    (tmp_path / "latin").write_bytes(b"fine\nd\xe9j\xe0 vu\n")
    with pytest.raises(DataError, match=r"latin, line 2: byte 0xe9 is not UTF-8\. Save"):
        read(tmp_path / "latin")
