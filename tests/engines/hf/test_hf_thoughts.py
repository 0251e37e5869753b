"""A model whose template opens a thought: its answers, and what it is trained on."""

from __future__ import annotations

from pathlib import Path

from tests.tiny_model import make_model, make_tokenizer

from iteralign.engines.hf.host import HFHost
from iteralign.records.chat import Message, SamplingParams
from iteralign.records.iteralign import Checkpoint

OPENS = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)


def test_a_thought_that_does_not_end_is_no_answer(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(OPENS)
    make_model(len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    said: list[str] = []
    chat = (Message("user", "Which river is the longest one?"),)
    params = SamplingParams(max_new_tokens=8, temperature=0)
    host = HFHost(device="cpu", locate=lambda c: c.path, warn=said.append)
    with host.serve(Checkpoint(path=str(tmp_path))) as policy:
        (found,) = policy.generate([chat], params)
        (score,) = policy.logprobs([chat], ["The Nile."])
    assert (found.text, found.finish) == ("", "length")
    assert found.thought
    assert "its chat template opens <think>" in said[0]
    assert "".join(score.tokens) == "The Nile."
    with HFHost(device="cpu", locate=lambda c: c.path, warn=said.append, thoughts="keep").serve(
        Checkpoint(path=str(tmp_path))
    ) as policy:
        (kept,) = policy.generate([chat], params)
    assert (kept.text, kept.thought) == (found.thought, None)
