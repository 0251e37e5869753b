"""A model folder is looked at whole before anything is started, and what is missing is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.tiny_model import make_model, make_tokenizer, save
from tests.tiny_model import tiny as tiny
from typer.testing import CliRunner

from iteralign.build.run import start
from iteralign.cli.main import app
from iteralign.engines.folders import brings_template, must_be_whole
from iteralign.engines.weights import load_tokenizer
from iteralign.errors import Unavailable
from iteralign.recipe.load import load_recipe


def sharded(folder: Path) -> Path:
    tokenizer = make_tokenizer()
    make_model(len(tokenizer)).save_pretrained(folder, max_shard_size="60KB")
    tokenizer.save_pretrained(folder)
    return folder


def drop(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


def shorten(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def point(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")


def gguf(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    (folder / "tiny-q4.gguf").write_bytes(b"GGUF")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("config.json"), "no config.json"),
        (drop("model.safetensors"), r"no weights \(model.safetensors"),
        (drop("tokenizer.json"), "no tokenizer .*copy the tokenizer files"),
        (shorten, "model.safetensors: cut short"),
        (point, "pointer of Git LFS.*git lfs pull"),
        (gguf, r"tiny-q4.gguf cannot be read as GGUF"),
        (lambda f: (f / "config.json").write_text("{"), "config.json: not JSON"),
    ],
)
def test_what_is_missing_is_named_before_a_directory_is_made(
    tiny: Path, tmp_path: Path, change: Callable[[Path], object], message: str
) -> None:
    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    must_be_whole(str(folder))
    change(folder)
    with pytest.raises(Unavailable, match=message):
        start(load_recipe("smoke", [f"model.name={folder}"]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_all_shards_of_the_index_must_be_there(tmp_path: Path) -> None:
    folder = sharded(tmp_path / "model")
    must_be_whole(str(folder))
    shards = sorted(folder.glob("*-of-*"))
    assert len(shards) > 1
    shards[1].unlink()
    with pytest.raises(Unavailable, match=rf"1 of {len(shards)} shards .*{shards[1].name}"):
        must_be_whole(str(folder))
    (folder / "model.safetensors.index.json").unlink()
    with pytest.raises(Unavailable, match="no index that says what is where"):
        must_be_whole(str(folder))


def test_an_adapter_needs_its_base_and_may_use_its_tokenizer(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    named = folder / "adapter_config.json"
    named.write_text(json.dumps({"base_model_name_or_path": str(tiny)}))
    with pytest.raises(Unavailable, match="without the adapter's weights"):
        must_be_whole(str(folder))
    shutil.copy(tiny / "model.safetensors", folder / "adapter_model.safetensors")
    must_be_whole(str(folder))
    assert load_tokenizer(str(folder), None).eos_token == "<|end|>"
    named.write_text(json.dumps({"base_model_name_or_path": str(tmp_path / "gone")}))
    with pytest.raises(Unavailable, match=r"the base model of this adapter: .*gone' is no folder here"):
        must_be_whole(str(folder))


def test_a_folder_of_models_names_them(tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "models" / "final")
    with pytest.raises(Unavailable, match="Folders in it hold models: final"):
        must_be_whole(str(tmp_path / "models"))


def test_a_model_without_a_template_is_told(tiny: Path, tmp_path: Path) -> None:
    assert brings_template(str(tiny)) is True
    folder = save(tmp_path / "base")
    (folder / "chat_template.jinja").unlink()
    assert brings_template(str(folder)) is False
    assert brings_template("owner/not-here") is None


@pytest.mark.parametrize("command", [["recipe", "check"], ["run", "--dry-run"], ["run"]])
def test_no_plan_is_printed_for_a_folder_that_is_not_whole(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    shorten(folder)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*command, "smoke", "--model", str(folder)])
    assert result.exit_code == Unavailable.exit_code
    assert "cut short" in result.output
    assert "Plan" not in result.output
    assert not (tmp_path / "runs").exists()


def test_a_plan_needs_no_model_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert CliRunner().invoke(app, ["recipe", "check", "smoke", "--model", "owner/elsewhere"]).exit_code == 0


def test_the_built_in_template_is_told_wherever_a_model_is_taken(
    tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    (folder / "chat_template.jinja").unlink()
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "Hi?", "response": "Hello."}\n')
    reference = tmp_path / "references.jsonl"
    reference.write_text('{"prompt": "Hi?", "answer": "Hello."}\n')
    model = ["--recipe", "smoke", "--model", str(folder)]
    for command in (
        ["evaluate", "--tasks", f"capability={reference}", *model, "--out", str(tmp_path / "ev")],
        ["finetune", str(rows), *model, "--out", str(tmp_path / "out")],
    ):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        assert (result.output + caplog.text).count("brings no chat template") == 1
        caplog.clear()
