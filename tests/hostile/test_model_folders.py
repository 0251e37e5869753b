"""Model folders from others: configurations, tokenizers, indices, weights, adapters and chat templates."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from confined import SHOWN, confined, is_one_message, shows_little
from iteralign.chat.format import OURS, encode_prompt
from iteralign.chat.template_guard import Refused, render
from iteralign.engines.patterns import costly
from iteralign.engines.weights import load, load_tokenizer
from iteralign.errors import EngineError, LeftOut
from iteralign.records.chat import Message

HUGE = "9" * 5000
NOT_OBJECTS = {
    "null": "null",
    "a list": "[]",
    "a text": '"x"',
    "a number": "1",
    "nothing": "",
    "half an object": '{"a": ',
    "deep": '{"a":' * 50_000,
    "deep and closed": '{"a":' * 500 + "1" + "}" * 500,
    "deep lists": "[" * 50_000,
    "5,000 digits": '{"model_type": ' + HUGE + "}",
    "Latin-1": "\xff",
}
FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json")


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "model"))


def refused(folder: Path) -> str:
    """The one message with which a folder is refused."""
    with pytest.raises(EngineError) as told:
        load(str(folder), device="cpu", precision="float32", template=None, warn=lambda text: None)
    said = str(told.value)
    assert str(folder) in said
    assert len(said.splitlines()) == 1
    assert len(said) - said.count(str(folder)) * len(str(folder)) < SHOWN + 200
    texts = [f for f in folder.iterdir() if f.suffix != ".safetensors" and f.stat().st_size < 1 << 20]
    assert all(shows_little(said, file.read_text("latin-1")) for file in texts)
    return said


def edit(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize("text", NOT_OBJECTS.values(), ids=NOT_OBJECTS.keys())
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_json_object_is_named(name: str, text: str, folder: Path) -> None:
    (folder / name).write_bytes(text.encode("latin-1"))
    assert name in refused(folder)


def test_a_file_without_end_is_not_read(folder: Path) -> None:
    with (folder / "config.json").open("wb") as file:
        file.truncate(1 << 40)
    assert "config.json cannot be read: larger than 32 MiB" in refused(folder)


CONFIGS: dict[str, dict[str, Any]] = {
    "a billion layers": {"num_hidden_layers": 10**9},
    "more layers than anybody has": {"num_hidden_layers": 10**5},
    "layers below zero": {"num_hidden_layers": -1},
    "layers of text": {"num_hidden_layers": "two"},
    "a vocabulary of a billion": {"vocab_size": 10**9},
    "a vocabulary beyond memory": {"vocab_size": 10**15},
    "a vocabulary that is a list": {"vocab_size": {}},
    "a hidden size beyond memory": {"hidden_size": 10**12},
    "a wide middle": {"intermediate_size": 10**8},
    "100 digits": {"hidden_size": 10**99},
    "a hidden size of a fraction": {"hidden_size": 4.5},
    "no heads": {"num_attention_heads": 0},
    "heads that do not divide": {"num_attention_heads": 7},
    "a model of nobody": {"model_type": "nobody"},
    "a model type that is a list": {"model_type": ["llama"]},
    "architectures that are a number": {"architectures": 5, "model_type": "nobody"},
    "another model's": {"model_type": "gpt2"},
    "code of its own": {"auto_map": {"AutoModelForCausalLM": "evil.Model"}, "model_type": "evil"},
    "an activation of nobody": {"hidden_act": "nobody"},
    "an activation that is a list": {"hidden_act": [1]},
    "a rope of nobody": {"rope_scaling": {"rope_type": "nobody"}},
    "an eps of text": {"rms_norm_eps": "small"},
    "a quantisation that is a list": {"quantization_config": [1]},
}


@pytest.mark.parametrize("values", CONFIGS.values(), ids=CONFIGS.keys())
def test_a_configuration_that_cannot_be_is_refused(values: dict[str, Any], folder: Path) -> None:
    edit(folder / "config.json", **values)
    refused(folder)


MAPS: dict[str, Any] = {
    "null": None,
    "a list": ["model.safetensors"],
    "a number for a file": {"lm_head.weight": 5},
    "null for a file": {"lm_head.weight": None},
    "above": {"lm_head.weight": "../../x.safetensors"},
    "an absolute path": {"lm_head.weight": "/etc/passwd"},
    "below": {"lm_head.weight": "sub/x.safetensors"},
    "a Windows path": {"lm_head.weight": "..\\x.safetensors"},
    "the folder": {"lm_head.weight": "."},
    "nothing": {"lm_head.weight": ""},
    "a zero byte": {"lm_head.weight": "x\0.safetensors"},
    "no weights": {"lm_head.weight": "config.json"},
    "a long name": {"lm_head.weight": "x" * 5000 + ".safetensors"},
    "an escape sequence": {"lm_head.weight": "\x1b[31m.safetensors"},
}


@pytest.mark.parametrize("names", MAPS.values(), ids=MAPS.keys())
def test_an_index_names_only_weights_of_its_folder(names: Any, folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    assert "index.json: weight_map" in refused(folder)


def header(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


TENSOR = b'{"lm_head.weight": {"dtype": "F32", "shape": [%s], "data_offsets": [0, %d]}}'
WEIGHTS = {
    "empty": b"",
    "a header without end": header(b"{}", 1 << 62),
    "a header longer than the file": header(b"{}", 4000),
    "a header of 100 MB": header(b"{}", 99_000_000),
    "no JSON": header(b"hello"),
    "null": header(b"null"),
    "a deep header": header(b'{"a":' * 50_000),
    "a shape without end": header(TENSOR % (b"1000000, 1000000, 1000000", 16)) + b"\0" * 16,
    "a shape of 5,000 digits": header(TENSOR % (HUGE.encode(), 16)) + b"\0" * 16,
    "data beyond the file": header(TENSOR % (b"1000000", 4_000_000)),
    "a pickle": b"\x80\x04cos\nsystem\n(S'id'\ntR.",
    "a zip": b"PK\x03\x04" + b"\0" * 100,
}


@pytest.mark.parametrize("content", WEIGHTS.values(), ids=WEIGHTS.keys())
def test_weights_that_lie_are_refused(content: bytes, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(content)
    refused(folder)


TOKENIZERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no model": lambda t: t.pop("model"),
    "a model of nobody": lambda t: t["model"].update(type="nobody"),
    "a vocabulary that is a list": lambda t: t["model"].update(vocab=[1]),
    "ids below zero": lambda t: t["model"].update(vocab={"a": -1}),
    "added tokens that are a text": lambda t: t.update(added_tokens="x"),
    "an added token of null": lambda t: t.update(added_tokens=[None]),
    "a decoder of nobody": lambda t: t.update(decoder={"type": "nobody"}),
    "a pattern that is none": lambda t: t.update(
        pre_tokenizer={
            "type": "Split",
            "pattern": {"Regex": "("},
            "behavior": "Isolated",
            "invert": False,
        }
    ),
}


@pytest.mark.parametrize("spoil", TOKENIZERS.values(), ids=TOKENIZERS.keys())
def test_a_tokenizer_that_cannot_be_is_refused(spoil: Callable[[dict[str, Any]], Any], folder: Path) -> None:
    data = json.loads((folder / "tokenizer.json").read_text())
    spoil(data)
    (folder / "tokenizer.json").write_text(json.dumps(data))
    refused(folder)


SOUND = (
    r"'s|'t| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lo}\p{M}]+(?i:'s|'t|'re)?|\s+",
    r" ?[^(\s|[.,!?])]+|(?=(\d{3})+(?!\d))|\d{1,3}(?=(?:\d{3})*\b)| {2,}",
)
COSTLY = (
    *(r"(a+)+$", r"(a|a)*$", r"(a|aa)+$", r"(.*a){12}$", r"a*a*a*$", r"(?:\w|\w){10}x", r"(?:\w?){30}x"),
    *(r"(\w+\s?)+x", r"((a*)b?)*", r"(?:a{1,9})+", "a?" * 30, "(a|a)" * 30, "(?=(a+)+b)", r"(?:[^]]+)+x"),
    *("(" * 60 + ")" * 60, "a{2,}" * 3, r"(?<x>a+)+", "a" * 6000, ")(a+)+", "(?#[)(a+)+", r"\c[(a+)+]"),
    r"(?<n>a|b\g<n>)c",
)


@pytest.mark.parametrize("kind", ["pre_tokenizer", "normalizer"])
@pytest.mark.parametrize("pattern", COSTLY, ids=range(len(COSTLY)))
def test_a_pattern_that_could_take_all_time_is_refused(pattern: str, kind: str, folder: Path) -> None:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    replace = {"type": "Replace", "pattern": {"Regex": pattern}, "content": "x"}
    part = split if kind == "pre_tokenizer" else replace
    edit(folder / "tokenizer.json", **{kind: {"type": "Sequence", f"{kind}s": [part]}})
    assert "could take all time" in refused(folder)


def test_a_costly_pattern_that_a_user_has_read_is_taken_by_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    edit(folder / "tokenizer.json", pre_tokenizer=split)
    found = re.search(r"set (ITERALIGN_TRUST_PATTERNS)=([0-9a-f]{12})$", refused(folder))
    assert found
    monkeypatch.setenv(found[1], "0123456789ab")
    assert "could take all time" in refused(folder)
    monkeypatch.setenv(found[1], f"0123456789ab, {found[2]}")
    load_tokenizer(str(folder), None)


@pytest.mark.parametrize("pattern", SOUND, ids=range(len(SOUND)))
def test_the_patterns_of_published_tokenizers_are_taken(pattern: str) -> None:
    assert costly(pattern) is None


def test_a_text_that_a_tokenizer_gives_up_on_is_left_out(folder: Path) -> None:
    class PanicException(BaseException):
        """What the tokenizers' library raises where a match passes its limit of retries."""

    tokenizer = load_tokenizer(str(folder), None)

    class GivesUp:
        def __call__(self, text: str, **settings: Any) -> Any:
            if "zzz" in text:
                raise PanicException("Onig: retry-limit-in-match over")
            return tokenizer(text, **settings)

        def __getattr__(self, name: str) -> Any:
            return getattr(tokenizer, name)

    with pytest.raises(LeftOut, match="gives up on a text of"):
        encode_prompt(GivesUp(), (Message("user", "zzz"),))


ADAPTERS: dict[str, Any] = {
    "null": None,
    "a list": [],
    "no base": {},
    "a base of a number": {"base_model_name_or_path": 5},
    "a base that is itself": {"base_model_name_or_path": "{folder}"},
    "an absent base": {"base_model_name_or_path": "{folder}/base"},
    "a kind of nobody": {"base_model_name_or_path": "{tiny}", "peft_type": "NOBODY"},
    "a kind of a number": {"base_model_name_or_path": "{tiny}", "peft_type": 5},
    "a rank of a billion": {"base_model_name_or_path": "{tiny}", "peft_type": "LORA", "r": 10**9},
    "a rank of text": {"base_model_name_or_path": "{tiny}", "peft_type": "LORA", "r": "x"},
    "a rank in a pattern": {"base_model_name_or_path": "{tiny}", "rank_pattern": {"a": 10**9}},
    "modules of numbers": {"base_model_name_or_path": "{tiny}", "peft_type": "LORA", "target_modules": [1]},
    "no weights": {"base_model_name_or_path": "{tiny}", "peft_type": "LORA", "target_modules": ["q_proj"]},
}


@pytest.mark.parametrize("config", ADAPTERS.values(), ids=ADAPTERS.keys())
def test_an_adapter_that_cannot_be_is_refused(config: Any, tiny: Path, folder: Path) -> None:
    for name in ("config.json", "model.safetensors", "generation_config.json"):
        (folder / name).unlink()
    text = json.dumps(config).replace("{tiny}", str(tiny)).replace("{folder}", str(folder))
    (folder / "adapter_config.json").write_text(text)
    with pytest.raises(EngineError) as told:
        load(str(folder), device="cpu", precision="float32", template=None, warn=lambda text: None)
    assert len(str(told.value).splitlines()) == 1


LOOP = "{% for i in range(99999) %}"
TEMPLATES = {
    "a range without end": "{% for i in range(10**10) %}x{% endfor %}",
    "loops inside loops": LOOP * 3 + "{% endfor %}" * 3,
    "loops that write": LOOP * 2 + "x{% endfor %}{% endfor %}",
    "a text without end": "{{ 'a' * 10**10 }}",
    "a text of 100 MB": "{{ 'a' * 10**8 }}",
    "a text of 5 MB": "{{ 'a' * (5 * 10**6) }}",
    "a text in one of our own": "{% set n = 10**10 %}{{ 'a' * n }}",
    "a list without end": "{{ ([0] * 10**10)|length }}",
    "a number without end": "{{ (9 ** 9 ** 9)|string|length }}",
    "a filter": "{{ 'a'|center(10**10) }}",
    "an indent": "{{ 'a\nb'|indent(10**10) }}",
    "a format": "{{ '%10000000000d' % 1 }}",
    "another format": "{{ '{:>10000000000}'.format(1) }}",
    "JSON with an indent": "{{ [1]|tojson(indent=10**10) }}",
    "texts that double": "{% set n = namespace(s='ab') %}{% for i in range(60) %}"
    "{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}",
    "replacements": "{% set n = namespace(s='aa') %}{% for i in range(60) %}"
    "{% set n.s = n.s.replace('a', n.s) %}{% endfor %}{{ n.s }}",
    "a macro without end": "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
    "macros that double": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
    "{{ f(60) }}",
    "filler text": "{{ lipsum(n=10**9) }}",
    "parentheses": "{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}",
    "conditions": "{% if true %}" * 3000 + "{% endif %}" * 3000,
    "a division by zero": "{{ 1 / 0 }}",
    "a sum of two kinds": "{{ 1 + 'a' }}",
    "an absent name": "{{ absent.of.nobody }}",
    "a refusal of a page": "{{ raise_exception('x' * 5000) }}",
    "an escape sequence": "{{ raise_exception('\x1b[31m') }}",
    "bad syntax": "{% for %}",
    "another file": "{% include '/etc/passwd' %}",
    "another module": "{% import 'os' as os %}",
    "private things": "{{ ''.__class__.__mro__ }}",
    "a list that grows": "{{ messages.append(1) }}",
}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES.keys())
def test_a_template_that_cannot_be_is_refused(template: str, folder: Path) -> None:
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(EngineError, match="chat template") as told:
        load_tokenizer(str(folder), None)
    said = str(told.value)
    assert len(said.splitlines()) == 1
    assert shows_little(said, template)
    assert not re.search("x{201}", said)  # what a template says is foreign, too
    assert len(said) - said.count(str(folder)) * len(str(folder)) < SHOWN + 200
    assert "\x1b" not in said


def test_a_bomb_that_waits_for_a_word_is_stopped_too() -> None:
    turns = [{"role": "user", "content": "hello"}]
    waiting = "{% if 'boom' in messages[0].content %}{{ 'a' * 10**10 }}{% endif %}{{ messages[0].content }}"
    assert render(waiting, turns, {}, OURS) == "hello"
    with pytest.raises(Refused, match="256 MiB"):
        render(waiting, [{"role": "user", "content": "boom"}], {}, OURS)
    assert render(waiting, turns, {}, OURS) == "hello"


def test_a_template_sees_no_keys_and_what_transformers_shows_it(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = load_tokenizer(str(tiny), None)
    turns = [
        {"role": "user", "content": "\u2028 \ud7ff <b> \U0001f600"},
        {"role": "assistant", "content": "x"},
    ]
    ours = render(tokenizer.chat_template, turns, tokenizer.special_tokens_map, frozenset())
    assert ours == tokenizer.apply_chat_template(turns, tokenize=False)


def test_the_shipped_models_need_no_second_process() -> None:
    from importlib.resources import files

    from iteralign.chat import template_guard

    for name in ("weights", "weights_rules"):
        tokenizer = load_tokenizer(str(files("iteralign.organism") / name), None)
        digest = template_guard.hashlib.sha256(tokenizer.chat_template.encode()).hexdigest()
        assert digest in OURS


def test_the_command_line_says_it_in_one_message(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text(TEMPLATES["loops inside loops"])
    prompts = folder / "prompts.txt"
    prompts.write_text("Why?\n")
    done = confined("red-team", "--model", folder, "--red-team", prompts, "--out", folder / "out.jsonl")
    assert done.code == 7, done
    assert is_one_message(done.said), done
