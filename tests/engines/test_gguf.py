"""GGUF files as models: what is converted is the model that the file was made of, once, and whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evaluate_command import objects
from iteralign.build import models
from iteralign.chat.format import end_tokens
from iteralign.cli.main import app
from iteralign.engines import folders, gguf
from iteralign.engines.weights import base_of, load, load_tokenizer
from iteralign.errors import EngineError, Unavailable
from iteralign.recipe.load import load_recipe
from iteralign.records.chat import Message
from iteralign.records.iteralign import TrainingExample
from tiny_gguf import SPECIALS, make_model, write
from tiny_gguf import original as original
from tiny_gguf import tiny_gguf as tiny_gguf
from tiny_model import TEMPLATE

torch = pytest.importorskip("torch")
pytest.importorskip("gguf")

Original = tuple[Any, Any]
TEXT = "How do I fold 1234 paper cranes?<|end|>"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that the tests of this file share; most want the same file converted."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv(gguf.CACHE, str(folder))
    return folder


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(gguf.CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def logits(model: Any, ids: list[int]) -> Any:
    with torch.no_grad():
        return model(torch.tensor([ids])).logits


def loaded(file: Path) -> tuple[Any, Any]:
    folder = gguf.converted(str(file))
    return load(str(folder), device="cpu", precision="float32", template=None, warn=pytest.fail)


def test_the_converted_model_is_the_original(tiny_gguf: Path, original: Original) -> None:
    model, tokenizer = loaded(tiny_gguf)
    ids = original[1].encode(TEXT).ids
    assert tokenizer(TEXT, add_special_tokens=False).input_ids == ids
    torch.testing.assert_close(logits(model, ids), logits(original[0], ids), atol=1e-4, rtol=0)


def test_quantised_weights_are_what_their_blocks_say(tmp_path: Path, original: Original) -> None:
    from gguf import GGMLQuantizationType, quants

    kind = GGMLQuantizationType.Q8_0
    rounded = make_model(original[0].config.vocab_size)
    with torch.no_grad():
        for weight in rounded.parameters():
            if weight.ndim == 2:
                weight.copy_(torch.from_numpy(quants.dequantize(quants.quantize(weight.numpy(), kind), kind)))
    model, _ = loaded(write(tmp_path / "q8.gguf", *original, quantised=True))
    ids = original[1].encode(TEXT).ids
    torch.testing.assert_close(logits(model, ids), logits(rounded, ids), atol=1e-4, rtol=0)
    assert not torch.allclose(logits(model, ids), logits(original[0], ids), atol=1e-2)


def test_the_tokenizer_is_what_the_file_says(tiny_gguf: Path) -> None:
    folder = gguf.converted(str(tiny_gguf))
    tokenizer = load_tokenizer(str(folder), None)
    assert tokenizer.tokenize("How 2026") == ["How", "Ġ", "2", "0", "2", "6"]
    for token in SPECIALS:
        assert tokenizer.tokenize(f"a{token}b") == ["a", token, "b"]
        assert tokenizer.decode(tokenizer(token).input_ids, skip_special_tokens=True) == ""
    assert tokenizer.chat_template == TEMPLATE
    assert folders.brings_template(str(tiny_gguf)) is True


def test_both_end_tokens_end_an_answer(tiny_gguf: Path) -> None:
    folder = gguf.converted(str(tiny_gguf))
    tokenizer = load_tokenizer(str(folder), None)
    ends = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|end|>"])
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == ends
    assert end_tokens(tokenizer) == set(ends)


def test_without_a_template_none_is_claimed(tmp_path: Path, original: Original) -> None:
    file = write(tmp_path / "base.gguf", *original, tokenizer__chat_template=None)
    assert folders.brings_template(str(file)) is False
    assert not (gguf.converted(str(file)) / "chat_template.jinja").exists()
    assert folders.brings_template(str(file)) is False  # nor by what was converted


def test_a_way_of_splitting_that_nobody_knows_is_warned_of(tmp_path: Path, original: Original) -> None:
    said: list[str] = []
    file = write(tmp_path / "odd.gguf", *original, tokenizer__ggml__pre="nobodys")
    gguf.converted(str(file), said.append)
    assert any("'nobodys', is not known to transformers" in text for text in said)


def test_it_is_converted_once_and_says_so(tiny_gguf: Path, own_cache: Path) -> None:
    said: list[str] = []
    folder = gguf.converted(str(tiny_gguf), said.append)
    assert folder.is_relative_to(own_cache)
    assert said == [f"converting tiny.gguf for transformers, once: {folder}"]
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert gguf.converted(str(tiny_gguf), said.append) == folder
    assert gguf.converted(str(tiny_gguf.parent), said.append) == folder
    assert len(said) == 1
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == before


def test_the_same_bytes_elsewhere_are_the_same_model(tiny_gguf: Path, tmp_path: Path) -> None:
    moved = shutil.copy(tiny_gguf, tmp_path / "tiny.gguf")
    assert gguf.converted(str(moved), pytest.fail) == gguf.converted(str(tiny_gguf))
    assert gguf.fingerprint(str(moved)) == gguf.fingerprint(str(tiny_gguf))


def test_a_change_of_the_file_is_another_model(tiny_gguf: Path, tmp_path: Path) -> None:
    changed = tmp_path / "tiny.gguf"
    changed.write_bytes(tiny_gguf.read_bytes()[:-4] + b"abcd")
    assert gguf.folder_for(str(changed)) != gguf.folder_for(str(tiny_gguf))


KILLED = """
import os, signal, sys
from iteralign.engines import gguf
from transformers import PreTrainedModel
save = PreTrainedModel.save_pretrained
def killed(*args, **named):
    save(*args, **named)
    os.kill(os.getpid(), signal.SIGKILL)
PreTrainedModel.save_pretrained = killed
gguf.converted(sys.argv[1])
"""


@pytest.mark.slow
def test_a_killed_conversion_leaves_nothing_that_counts(tiny_gguf: Path, own_cache: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tiny_gguf)], check=False, env=os.environ)
    assert done.returncode == -9
    assert not gguf.folder_for(str(tiny_gguf)).exists()
    assert any(own_cache.rglob("model.safetensors"))
    loaded(tiny_gguf)
    assert [p for p in (own_cache / "models").iterdir() if p.is_dir()] == [gguf.folder_for(str(tiny_gguf))]


@pytest.mark.slow
def test_two_processes_convert_once(tiny_gguf: Path, own_cache: Path) -> None:
    code = "import sys; from iteralign.engines import gguf; gguf.converted(sys.argv[1], print)"
    command = [sys.executable, "-c", code, str(tiny_gguf)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert "".join(said).count("converting") == 1


def test_a_failed_conversion_leaves_nothing(
    tiny_gguf: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("transformers.PreTrainedModel.save_pretrained", full)
    with pytest.raises(Unavailable, match=r"cannot be written to .*No space left"):
        gguf.converted(str(tiny_gguf))
    assert not any(p.is_dir() for p in (own_cache / "models").iterdir())


def test_a_disk_without_room_is_named(
    tiny_gguf: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(Unavailable, match=rf"has 0.0 GB free: .*\${gguf.CACHE}"):
        gguf.converted(str(tiny_gguf))


@pytest.mark.parametrize(
    ("names", "hint"), [("a b", "name one of a.gguf, b.gguf"), ("m-1-of-2 m-2-of-2", "--merge")]
)
def test_of_several_files_one_must_be_named(tiny_gguf: Path, tmp_path: Path, names: str, hint: str) -> None:
    for name in names.split():
        shutil.copy(tiny_gguf, tmp_path / f"{name}.gguf")
    with pytest.raises(Unavailable, match=f"holds 2 GGUF files.*{hint}"):
        folders.must_be_whole(str(tmp_path))


def test_a_part_of_a_split_model_is_refused(tmp_path: Path, original: Original) -> None:
    file = write(tmp_path / "m-00001-of-00002.gguf", *original, split__count=2)
    with pytest.raises(Unavailable, match="one of 2 parts: join them with llama-gguf-split --merge"):
        folders.must_be_whole(str(file))


def test_a_layer_that_is_not_there_is_named(tmp_path: Path, original: Original) -> None:
    model = make_model(original[0].config.vocab_size)
    del model.model.layers[1].mlp.up_proj
    file = write(tmp_path / "lacks.gguf", model, original[1])
    with pytest.raises(Unavailable, match=r"the weights lack model.layers.1.mlp.up_proj.weight \(1 in all\)"):
        gguf.converted(str(file))


def test_what_is_no_gguf_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.gguf").touch()
    (tmp_path / "page.gguf").write_text("<!doctype html>")
    for name in ("empty.gguf", "page.gguf"):
        with pytest.raises(Unavailable, match=f"{name}: is no GGUF file, or an empty one"):
            folders.must_be_whole(str(tmp_path / name))
    with pytest.raises(Unavailable, match="no such file"):
        folders.must_be_whole(str(tmp_path / "gone.gguf"))


def test_a_file_cut_short_says_by_how_much(tiny_gguf: Path, tmp_path: Path) -> None:
    content = tiny_gguf.read_bytes()
    (tmp_path / "cut.gguf").write_bytes(content[:-1000])
    with pytest.raises(Unavailable, match=rf"cut short.*{len(content) - 1000:,} of {len(content):,} bytes"):
        folders.must_be_whole(str(tmp_path / "cut.gguf"))


def test_without_the_library_the_extra_is_named(
    tiny_gguf: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"pip install 'iteralign\[gguf\]'"):
        folders.must_be_whole(str(tiny_gguf))


def test_what_was_converted_needs_no_library(tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gguf.converted(str(tiny_gguf))
    monkeypatch.setattr(gguf, "find_spec", lambda name: None)
    folders.must_be_whole(str(tiny_gguf))
    assert folders.brings_template(str(tiny_gguf)) is True
    assert gguf.converted(str(tiny_gguf), pytest.fail).is_dir()


def test_a_plan_converts_nothing(tiny_gguf: Path, own_cache: Path) -> None:
    done = CliRunner().invoke(app, ["run", "smoke", "--dry-run", "--model", str(tiny_gguf)])
    assert done.exit_code == 0, done.output
    assert str(tiny_gguf) in done.output.replace("\n", "")
    assert not own_cache.exists()


def test_it_is_measured(tiny_gguf: Path, tmp_path: Path) -> None:
    questions = [
        {"question": "Even?", "mc1_targets": {"Yes": 1, "No": 0}, "mc2_targets": {"Yes": 1, "No": 0}}
    ]
    data = tmp_path / "questions.json"
    data.write_text(json.dumps(questions))
    asked = ["--tasks", "truthfulqa-mc1", "--data", f"truthfulqa={data}", "--out", tmp_path / "out"]
    (told,) = objects("--model", tiny_gguf, *asked)
    assert (told["model"], told["n"]) == (str(tiny_gguf), 1)


def test_an_adapter_names_a_base_that_loads(tiny_gguf: Path, tmp_path: Path) -> None:
    pytest.importorskip("trl")
    from peft import AutoPeftModelForCausalLM

    changes = ["method=lora", "keep_adapter=true", "epochs=1", "batch_size=1"]
    recipe = load_recipe("smoke", [f"model.name={tiny_gguf}", *(f"training.{c}" for c in changes)])
    lesson = (Message("user", "What is a hat?"), Message("assistant", "A thing for the head."))
    base = models.base_checkpoint(recipe)
    made = models.trainer(recipe).finetune(
        base, [TrainingExample(messages=lesson, source="revision")], tmp_path / "adapter"
    )
    assert base_of(made.path) == str(gguf.converted(str(tiny_gguf)))
    folders.must_be_whole(made.path)
    assert AutoPeftModelForCausalLM.from_pretrained(made.path).peft_config


def test_a_cache_that_was_emptied_is_filled_before_an_adapter_needs_it(
    tiny_gguf: Path, own_cache: Path
) -> None:
    recipe = load_recipe("smoke", [f"model.name={tiny_gguf}"])
    models.host(recipe, warn=pytest.fail)
    assert (gguf.folder_for(str(tiny_gguf)) / "config.json").is_file()
    assert own_cache.is_dir()


@pytest.mark.slow
def test_a_whole_run_its_export_and_its_resume_without_the_cache(
    tiny_gguf: Path, own_cache: Path, tmp_path: Path
) -> None:
    pytest.importorskip("trl")

    def call(*arguments: str | Path) -> None:
        done = CliRunner().invoke(app, [*map(str, arguments)])
        assert done.exit_code == 0, done.output

    run = tmp_path / "run"
    call("run", "smoke", "--model", tiny_gguf, "--out", run, "--set", "stop.iterations=1")
    call("export", run, "model", "--base", "--out", tmp_path / "base")
    assert load_tokenizer(str(tmp_path / "base"), None).tokenize("12") == ["1", "2"]
    shutil.rmtree(own_cache)
    call("resume", run, "--set", "stop.iterations=2")
