"""The proof of a load finds other weights than the trained ones, and accepts rounding."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iteralign.engines.hf import host as serving
from iteralign.engines.hf.host import HFHost
from iteralign.engines.probe import Memory, read_probe, write_probe
from iteralign.errors import EngineError, TrainingError
from iteralign.recipe.training import TrainingSection
from iteralign.records.chat import Message, SamplingParams
from iteralign.records.iteralign import Checkpoint, TrainingExample

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

LESSONS = [
    TrainingExample(
        messages=(Message("user", q), Message("assistant", "Take a breath, then make some tea.")),
        source="revision",
    )
    for q in ("What is a hat?", "What is tea?", "Which river?")
]
Make = Callable[..., Checkpoint]


@pytest.fixture
def make(tiny: Path, tmp_path: Path) -> Make:
    """Trains a little; the learning rate is so small that the probe alone would hardly tell."""
    from iteralign.training.sft import SFT

    def finetune(name: str = "made", **settings: Any) -> Checkpoint:
        given = {"learning_rate": 1e-4, "epochs": 1, "batch_size": 2} | settings
        sft = SFT(TrainingSection(**given), device="cpu", dtype="bfloat16", locate=lambda c: c.path)
        return sft.finetune(Checkpoint(path=str(tiny)), LESSONS, tmp_path / name)

    return finetune


def ask(made: Checkpoint, dtype: str = "bfloat16") -> None:
    host = HFHost(locate=lambda c: c.path, warn=print, device="cpu", dtype=dtype)
    with host.serve(made) as policy:
        policy.generate([LESSONS[0].messages[:-1]], SamplingParams(max_new_tokens=2, temperature=0.0))


def loading(monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], Any]) -> None:
    """What the engine loads is changed on its way."""
    load = serving.load

    def changed(*args: Any, **options: Any) -> tuple[Any, Any]:
        model, tokenizer = load(*args, **options)
        return change(model), tokenizer

    monkeypatch.setattr(serving, "load", changed)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("settings", [{}, {"method": "lora"}, {"method": "lora", "keep_adapter": True}])
def test_sound_weights_pass_in_every_precision(make: Make, settings: dict[str, Any], dtype: str) -> None:
    ask(make(**settings), dtype)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_one_tensor_of_another_checkpoint(make: Make, tmp_path: Path, dtype: str) -> None:
    from safetensors.torch import load_file, save_file

    made, other = make(learning_rate=1e-2), make("other", learning_rate=2e-2)
    file = Path(made.path, "model.safetensors")
    for name in ("model.norm.weight", "model.layers.1.self_attn.k_proj.weight"):
        whole = load_file(file)
        mixed = whole | {name: load_file(Path(other.path, "model.safetensors"))[name]}
        save_file(mixed, file, metadata={"format": "pt"})
        with pytest.raises(EngineError, match=rf"1 \({name}\) of \d+ tensors.*half-loaded or replaced"):
            ask(made, dtype)
        save_file(whole, file, metadata={"format": "pt"})
    ask(made, dtype)


def test_a_head_of_the_start_left_behind_by_tied_weights(
    make: Make, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM

    made = make()
    start = AutoModelForCausalLM.from_pretrained(tiny)

    def keep_the_head(model: Any) -> Any:
        model.lm_head.weight = torch.nn.Parameter(start.lm_head.weight.detach().to(model.dtype))
        return model

    loading(monkeypatch, keep_the_head)
    with pytest.raises(EngineError, match=r"1 \(lm_head\.weight\) of"):
        ask(made, "float32")


def test_an_adapter_that_is_not_applied(make: Make, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForCausalLM

    made = make(method="lora", keep_adapter=True)
    ask(made)
    with monkeypatch.context() as patch:
        loading(patch, lambda model: AutoModelForCausalLM.from_pretrained(tiny, dtype=model.dtype))
        with pytest.raises(EngineError, match="tensors are not as the trainer saved them"):
            ask(made)

    def switch_off(model: Any) -> Any:
        for layer in model.modules():
            if hasattr(layer, "lora_A"):
                layer.enable_adapters(False)
        return model

    def halve(model: Any) -> Any:
        layer = next(m for m in model.modules() if hasattr(m, "lora_A"))
        layer.scaling["default"] /= 2
        return model

    for fault in (switch_off, halve):
        with monkeypatch.context() as patch:
            loading(patch, fault)
            with pytest.raises(EngineError, match=r"\(adapter\).*half-loaded"):
                ask(made)


def test_an_adapter_on_another_base(make: Make, tiny: Path, tmp_path: Path) -> None:
    from tiny_model import save

    made = make(method="lora", keep_adapter=True)
    config = Path(made.path, "adapter_config.json")
    config.write_text(config.read_text().replace(str(tiny), str(save(tmp_path / "second", seed=3))))
    with pytest.raises(EngineError, match="half-loaded or replaced"):
        ask(made)


def test_swapped_checkpoints(make: Make) -> None:
    made, other = make(), make("other", method="lora")
    shutil.copy(Path(other.path, "model.safetensors"), Path(made.path, "model.safetensors"))
    with pytest.raises(EngineError, match="half-loaded or replaced"):
        ask(made)
    ask(other)


def test_a_merge_that_does_nothing_ends_the_training(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from peft.tuners.lora.layer import Linear

    monkeypatch.setattr(Linear, "merge", lambda self, *a, **k: self.merged_adapters.append("default"))
    with pytest.raises(TrainingError, match=r"the adapter of .* was not added to its weights"):
        make(method="lora", learning_rate=1e-2, epochs=4)


def test_weights_or_a_configuration_that_are_not_saved_as_they_were_trained(make: Make, tiny: Path) -> None:
    from iteralign.engines.digests import digests
    from iteralign.engines.weights import load

    folder = Path(make().path)
    model, _ = load(str(folder), device="cpu", precision="float32", template=None, warn=print)
    written = read_probe(folder)
    assert written is not None
    sound = Memory(digests(model), written.totals["float32"])
    write_probe(folder, sound)
    with pytest.raises(EngineError, match="its configuration was not saved whole"):
        write_probe(folder, Memory(sound.tensors, sound.total - 1.0))
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach() * 1.001)
    with pytest.raises(EngineError, match=r"what was saved is not what was trained: 1 \(lm_head\.weight\)"):
        write_probe(folder, Memory(digests(model)))


def test_rounding_of_another_device_is_no_fault(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU's kernels were up to .42 nats apart for a sound model of 135 million parameters."""
    made = make()
    total = read_probe(Path(made.path)).totals["bfloat16"]  # type: ignore[union-attr]
    monkeypatch.setattr("iteralign.engines.probe.probe_total", lambda *a: total + 0.9)
    ask(made)
    monkeypatch.setattr("iteralign.engines.probe.probe_total", lambda *a: total * 2)
    with pytest.raises(EngineError, match="give the probe"):  # equal weights that read another text, say
        ask(made)


def test_checksums_are_the_same_for_a_cast_and_tell_places_apart() -> None:
    from iteralign.engines.digests import checksum

    values = torch.randn(5, 7)
    assert checksum(values) == checksum(values.t().contiguous().t())
    assert checksum(values.bfloat16()) == checksum(values.double().bfloat16())
    swapped = values.clone()
    swapped[[0, 3]] = swapped[[3, 0]]
    small = values.clone()
    small[2, 2] += 1e-6 * small[2, 2].abs()
    assert len({checksum(t) for t in (values, swapped, small, -values, torch.zeros(35))}) == 5
    long = torch.randn(1 << 16).bfloat16()  # several blocks, and parts that begin amid a word
    assert checksum(long[1:]) == checksum(long[1:].clone()) != checksum(long[:-1])
    assert checksum(torch.cat([long[1 << 15 :], long[: 1 << 15]])) != checksum(long)
    assert checksum(torch.zeros(0)) == checksum(torch.zeros(3))
