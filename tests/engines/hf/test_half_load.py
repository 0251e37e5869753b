"""Loading models: what is wrong with a folder is said, and half-loaded weights do not pass."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from iteralign.engines.hf.host import HFHost
from iteralign.errors import EngineError, Unavailable
from iteralign.records.chat import Completion, Message, SamplingParams
from iteralign.records.iteralign import Checkpoint
from tiny_model import as_cached, save

pytest.importorskip("torch")

CHATS = [(Message("user", "What is a hat?"),)]
GREEDY = SamplingParams(max_new_tokens=4, temperature=0.0)


def ask(folder: Path | str, said: list[str] | None = None) -> list[Completion]:
    host = HFHost(locate=lambda c: c.path, warn=(said if said is not None else []).append, device="cpu")
    with host.serve(Checkpoint(path=str(folder))) as policy:
        return policy.generate(CHATS, GREEDY)


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny, tmp_path / "model")


def with_probe(folder: Path) -> None:
    from iteralign.engines.probe import write_probe

    write_probe(folder)


def edit(folder: Path, change: object) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    change(tensors)  # type: ignore[operator]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"no folder here.*hub name"):
        ask(tmp_path / "absent")


def test_a_hub_name_without_a_network_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    import huggingface_hub.constants as constants

    pauses: list[float] = []
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(time, "sleep", pauses.append)
    with pytest.raises(Unavailable, match=r"'nobody/nothing-of-that-name'.*hub does not give it.*HF_TOKEN"):
        ask("nobody/nothing-of-that-name")
    assert not pauses, "the hub's client does not try again"


def test_a_folder_without_weights_or_tokenizer(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(Unavailable, match=r"weights.*cannot be loaded"):
        ask(copy)
    (copy / "tokenizer.json").unlink()
    with pytest.raises(Unavailable, match=r"tokenizer of .* cannot be loaded"):
        ask(copy)


def test_weights_that_are_cut_short(copy: Path) -> None:
    with (copy / "model.safetensors").open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(Unavailable, match="cannot be loaded"):
        ask(copy)


def test_tensors_that_are_missing_of_another_shape_or_foreign(copy: Path, tmp_path: Path) -> None:
    import torch

    said: list[str] = []
    edit(copy, lambda t: t.update({"model.strange": torch.zeros(2)}))
    ask(copy, said)
    assert said == [f"{copy}: left aside, not being the model's: 1 tensor: model.strange"]
    edit(copy, lambda t: t.pop("model.layers.1.mlp.up_proj.weight"))
    with pytest.raises(EngineError, match=r"lack model\.layers\.1\.mlp\.up_proj\.weight"):
        ask(copy)
    edit(copy, lambda t: t.update({"model.norm.weight": torch.zeros(7)}))
    with pytest.raises(Unavailable, match="cannot be loaded"):
        ask(copy)
    untied = save(tmp_path / "untied", tied=False)
    edit(untied, lambda t: t.pop("lm_head.weight"))
    with pytest.raises(EngineError, match=r"lack lm_head\.weight"):
        ask(untied)


def test_the_probe_catches_swapped_tampered_and_damaged_weights(copy: Path, tmp_path: Path) -> None:
    with_probe(copy)
    ask(copy)

    def nudge(tensors: dict[str, object]) -> None:
        tensors["model.layers.0.mlp.down_proj.weight"][3, :] *= 1.05  # type: ignore[index]

    before = (copy / "model.safetensors").read_bytes()
    edit(copy, nudge)
    with pytest.raises(
        EngineError,
        match=r"1 \(model\.layers\.0\.mlp\.down_proj\.weight\) of 21 tensors.*half-loaded.*resume",
    ):
        ask(copy)
    other = save(tmp_path / "other", seed=1)
    shutil.copy(other / "model.safetensors", copy / "model.safetensors")
    with pytest.raises(EngineError, match=r"16 \(lm_head\.weight, \.\.\.\) of 21.*half-loaded"):
        ask(copy)
    (copy / "model.safetensors").write_bytes(before)
    ask(copy)
    (copy / "probe.json").write_text('{"question": ')
    with pytest.raises(EngineError, match=r"probe\.json is damaged"):
        ask(copy)


def test_weights_that_are_no_numbers_do_not_pass(copy: Path) -> None:
    edit(copy, lambda t: t["model.norm.weight"].fill_(float("nan")))
    with pytest.raises(EngineError, match="log-probability nan"):
        ask(copy)


def test_a_probe_holds_in_both_precisions(copy: Path) -> None:
    with_probe(copy)
    totals = json.loads((copy / "probe.json").read_text())["logprob"]
    assert set(totals) == {"float32", "bfloat16"}
    assert totals["float32"] == pytest.approx(totals["bfloat16"], abs=5)
    for dtype in ("float32", "bfloat16"):
        host = HFHost(locate=lambda c: c.path, warn=print, device="cpu", dtype=dtype)
        with host.serve(Checkpoint(path=str(copy))) as policy:  # raises where the probe differs
            policy.generate(CHATS, GREEDY)


def test_code_that_a_model_brings_is_not_run(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config |= {
        "model_type": "brings_its_own",
        "auto_map": {"AutoConfig": "configuration.Own", "AutoModelForCausalLM": "modeling.Own"},
    }
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "configuration.py").write_text("open('/nowhere/was-run', 'w')")
    (copy / "modeling.py").write_text("open('/nowhere/was-run', 'w')")
    with pytest.raises(Unavailable, match="cannot be loaded"):
        ask(copy)


def test_loading_and_answering_print_nothing(tiny: Path) -> None:
    code = (
        "import sys\n"
        "from iteralign.engines.hf.host import HFHost\n"
        "from iteralign.records.chat import Message, SamplingParams\n"
        "from iteralign.records.iteralign import Checkpoint\n"
        "host = HFHost(locate=lambda c: c.path, warn=print)\n"
        "with host.serve(Checkpoint(path=sys.argv[1])) as p:\n"
        "    warm = SamplingParams(max_new_tokens=4, temperature=0.7, top_p=0.9)\n"
        "    p.generate([(Message('user', 'x'),)] * 3, warm)\n"
        "    p.generate([(Message('user', 'x'),)], SamplingParams(max_new_tokens=4, temperature=0))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tiny)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_model_in_the_hubs_cache_is_served_without_a_network(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    name = as_cached(copy, tmp_path / "cache")
    assert ask(name) == ask(copy)
    (
        tmp_path / "cache" / "models--owner--tiny" / "snapshots" / "0123abcd" / "model.safetensors"
    ).unlink()  # a download that was broken off
    with pytest.raises(Unavailable, match="neither a folder here nor in the cache"):
        ask(name)
