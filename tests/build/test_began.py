"""A run remembers what it began with: what changes since then is made anew, or warned of."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from iteralign.build.began import began, note_libraries
from iteralign.build.models import base_checkpoint
from iteralign.build.run import resume, start
from iteralign.engines.hf.host import HFHost
from iteralign.engines.openai.host import ServerHost
from iteralign.errors import EngineError
from iteralign.exchanges import answers
from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.models import ModelSection
from iteralign.records.chat import Message, SamplingParams
from iteralign.records.iteralign import Checkpoint, RedTeamPrompt, Response
from iteralign.store.run import Run
from tiny_model import as_cached

PROMPTS = [RedTeamPrompt(messages=(Message("user", f"question {i}"),), source="t") for i in range(2)]
TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}]\n{{ m.content }}"
    "{{ eos_token if m.role == 'assistant' }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]\n{% endif %}"
)


class Session:
    """Opens a run, has a model answer the prompts in it, and keeps what was said."""

    def __init__(self, folder: Path, place: str, **settings: Any) -> None:
        self.warned: list[str] = []
        with Run.create(folder / "run", {}, "") as run:
            recipe = Recipe.model_validate({"model": {"name": place}})
            checkpoint = base_checkpoint(recipe, began(run))
            host = HFHost(
                **{"device": "cpu", **settings},
                locate=run.locate,
                warn=self.warned.append,
                began=began(run),
            )
            before = len(run.events("step"))
            with host.serve(checkpoint) as policy:
                self.key = policy.fingerprint
                answers(policy, run.scope("x"), PROMPTS, SamplingParams(max_new_tokens=3, temperature=0.0))
            self.reused = [e.fields["state"] for e in run.events("step")[before:]] == ["reused"]
            self.loaded = host._loaded
            self.noted = run.noted("model")
            self.responses = run.read(Response, "x", "responses")
            self.checkpoint = checkpoint


@pytest.fixture
def template(tmp_path: Path) -> Path:
    file = tmp_path / "template.jinja"
    file.write_text(TEMPLATE)
    return file


def test_another_text_in_the_file_of_the_template_makes_answers_anew(
    tiny: Path, tmp_path: Path, template: Path
) -> None:
    Session(tmp_path, str(tiny), chat_template=str(template))
    again = Session(tmp_path, str(tiny), chat_template=str(template))
    assert (again.reused, again.warned, again.loaded) == (True, [], None)
    template.write_text("Chat.\n" + TEMPLATE)
    other = Session(tmp_path, str(tiny), chat_template=str(template))
    assert not other.reused
    assert len(other.warned) == 1
    assert "chat template" in other.warned[0]
    template.write_text(TEMPLATE)
    assert Session(tmp_path, str(tiny), chat_template=str(template)).reused


def test_another_commit_of_a_hubs_model_is_another_base(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants as constants

    cache = tmp_path / "cache"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    name = as_cached(tiny, cache)
    first = Session(tmp_path, name)
    assert first.noted is not None
    assert first.noted[f"commit of {name}"] == "0123abcd"
    assert Session(tmp_path, name).reused
    home = cache / "models--owner--tiny"
    (home / "snapshots" / "0123abcd").rename(home / "snapshots" / "4567ef01")
    (home / "refs" / "main").write_text("4567ef01")
    other = Session(tmp_path, name)
    assert not other.reused
    assert other.checkpoint.id != first.checkpoint.id
    assert any("0123abcd" in w and "4567ef01" in w for w in other.warned)


def test_a_commit_that_comes_to_light_while_loading_is_not_mixed_with_the_old_one(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache is empty when keys are made, and the hub has moved on."""
    import iteralign.engines.facts as facts

    monkeypatch.setattr(facts, "commit_of", lambda place: "")
    Session(tmp_path, str(tiny))
    with Run.open(tmp_path / "run") as run:
        run.note("model", {f"commit of {tiny}": "old"})
        known = iter(["", "new"])
        monkeypatch.setattr(facts, "commit_of", lambda place: next(known))
        host = HFHost(device="cpu", locate=run.locate, warn=print, began=began(run))
        with host.serve(Checkpoint(path=str(tiny))) as policy:
            assert policy.fingerprint == policy.checkpoint.id
            with pytest.raises(EngineError, match=r"commit old .* the hub gives new"):
                policy.generate([PROMPTS[0].messages], SamplingParams(max_new_tokens=1))


def test_a_run_goes_on_in_the_precision_that_it_began_with_and_names_both_devices(
    tiny: Path, tmp_path: Path
) -> None:
    import torch

    with Run.create(tmp_path / "run", {}, "") as run:
        run.note("model", {"device": "cuda", "dtype": "bfloat16"})
    moved = Session(tmp_path, str(tiny))
    assert moved.loaded is not None
    assert moved.loaded[1].model.dtype == torch.bfloat16
    (told,) = moved.warned
    assert "began on cuda and continues on cpu, in bfloat16" in told
    assert "float32 here" in told
    again = Session(tmp_path, str(tiny))
    assert (again.reused, again.loaded, again.warned) == (True, None, [])


def test_a_run_notes_where_and_how_it_began(tiny: Path, tmp_path: Path) -> None:
    assert Session(tmp_path, str(tiny)).noted == {"device": "cpu", "dtype": "float32"}


def test_a_run_of_an_earlier_release_keeps_its_keys(tiny: Path, tmp_path: Path, template: Path) -> None:
    """It knew checkpoints by their ids alone, and has no notes."""
    place = str(tiny)
    for settings in ({}, {"chat_template": str(template)}, {"dtype": "float32"}):
        folder = tmp_path / str(len(settings)) / str(settings.get("dtype"))
        folder.mkdir(parents=True)
        session = Session(folder, place, **settings)
        assert session.key == session.checkpoint.id


def test_a_served_models_key_takes_in_the_template_that_is_rendered_here(
    tmp_path: Path, template: Path
) -> None:
    def key(**settings: Any) -> str:
        wire = ModelSection(name="m", base_url="http://127.0.0.1:9/v1", engine="server").model_dump(
            include={"base_url", "api_key_env", "concurrency", "max_retries", "timeout"}
        )
        host = ServerHost(served_as="m", place="m", locate=lambda c: c.path, warn=print, **wire, **settings)
        with host.serve(Checkpoint(path="m")) as policy:
            return policy.fingerprint

    before = key(chat_template=str(template))
    template.write_text(TEMPLATE + "\n")
    assert len({before, key(chat_template=str(template)), key()}) == 3
    assert key(api="chat", chat_template=str(template)) == key(), "the server's own template is used there"


def test_a_key_needs_no_torch(tiny: Path, template: Path) -> None:
    code = (
        "import sys; from iteralign.engines.hf.host import HFHost\n"
        "from iteralign.records.iteralign import Checkpoint\n"
        "host = HFHost(chat_template=sys.argv[2], locate=lambda c: c.path, warn=print)\n"
        "with host.serve(Checkpoint(path=sys.argv[1])) as p: print(p.fingerprint)\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    args = [sys.executable, "-c", code, str(tiny), str(template)]
    done = subprocess.run(args, capture_output=True, text=True, check=True)
    assert "chat template=" in done.stdout


def test_versions_of_libraries_are_recorded_and_others_are_named(scripted: Recipe, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    start(scripted, folder)
    with Run.open(folder) as run:
        digest = run.digest()
        noted = run.noted("libraries")
        assert noted is not None
        assert noted["torch"] == metadata.version("torch")
        assert noted.keys() >= {"python", "transformers", "trl", "peft"}
        assert [e.fields for e in run.events("libraries")] == [noted]
        assert run.events("warning") == []
        run.note("libraries", {**noted, "torch": "1.0", "old": "2"})
    for _ in range(2):
        resume(folder)
    with Run.open(folder, readonly=True) as run:
        (told,) = run.events("warning")
        assert f"old 2 -> absent, torch 1.0 -> {metadata.version('torch')}." in told.fields["text"]
        assert run.digest() == digest


def test_a_run_without_a_note_of_libraries_warns_of_none(tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", {}, "") as run:
        note_libraries(run)
        assert run.events("warning") == []
