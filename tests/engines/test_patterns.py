# ruff: noqa: RUF001 - patterns name characters of many scripts
"""The patterns by which published tokenizers part a text are all taken; what could take minutes is not."""

from __future__ import annotations

import pytest

from iteralign.engines.patterns import costly, patterns_of

_SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_BEFORE = r"[^\r\n\p{L}\p{N}]?"
_MARKS = r" ?[^\s\p{L}\p{N}]+"
_GPT2 = rf"'s|'t|'re|'ve|'m|'ll|'d| ?\p{{L}}+| ?\p{{N}}+|{_MARKS}|\s+(?!\S)|\s+"
_ASCII_MARKS = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"""
_TEKKEN = (
    rf"{_BEFORE}{_UPPER}*{_LOWER}+|{_BEFORE}{_UPPER}+{_LOWER}*|\p{{N}}|{_MARKS}[\r\n/]*|{_TAIL}",
    rf"{_BEFORE}((?=[\p{{L}}])([^a-z]))*((?=[\p{{L}}])([^A-Z]))+|\p{{N}}|{_MARKS}[\r\n/]*|{_TAIL}",
)
PUBLISHED: dict[str, tuple[str, ...]] = {
    "GPT-2, OLMo, Phi-2": (_GPT2,),
    "GPT-2 in tiktoken": (
        r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
    ),
    "Llama-3, GLM-4, Phi-4": (rf"{_SUFFIX}|{_BEFORE}\p{{L}}+|\p{{N}}{{1,3}}|{_MARKS}[\r\n]*|{_TAIL}",),
    "Qwen2, Qwen3": (rf"{_SUFFIX}|{_BEFORE}\p{{L}}+|\p{{N}}|{_MARKS}[\r\n]*|{_TAIL}",),
    "Qwen3.5": (
        rf"{_SUFFIX}|{_BEFORE}[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_TAIL}",
    ),
    "cl100k": (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|"
        r"\s*[\r\n]|\s+(?!\S)|\s",
    ),
    "o200k, gpt-oss, MiniMax": (
        rf"{_BEFORE}{_UPPER}*{_LOWER}+{_SUFFIX}?|{_BEFORE}{_UPPER}+{_LOWER}*{_SUFFIX}?|\p{{N}}{{1,3}}|"
        rf"{_MARKS}[\r\n/]*|{_TAIL}",
    ),
    "Mistral's tekken": _TEKKEN,
    "DeepSeek-V3": (
        r"\p{N}{1,3}",
        "[一-龥\u3040-ゟ゠-ヿ]+",
        rf"{_ASCII_MARKS}[A-Za-z]+|[^\r\n\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+|"
        rf" ?[\p{{P}}\p{{S}}]+[\r\n]*|{_TAIL}",
    ),
    "DeepSeek LLM, DeepSeek Coder": (
        *(
            "[\r\n]",
            r"\s?[A-Za-zµÀ-ÖØ-öø-ƺ]+",
            r"\s?[!-/:-~！-／：-～‘-‟\u3000-。]+",
            r"\s+$",
            "[一-龥ࠀ-一가-\ud7ff]+",
        ),
        *(r"\p{N}+", r"\s?\p{L}+", r"\s?\p{P}+"),
    ),
    "Falcon": (r"[\p{P}\$\+<=>\^~\|`]+", _GPT2, "[0-9][0-9][0-9]"),
    "BLOOM": (" ?[^(\\s|[.,!?…。，、।۔،])]+",),
    "Kimi-K2": (
        rf"[\p{{Han}}]+|{_BEFORE}[\p{{Lu}}\p{{M}}&&[^\p{{Han}}]]*[\p{{Ll}}\p{{M}}&&[^\p{{Han}}]]+{_SUFFIX}?|{_TAIL}",
    ),
    "Seed-Coder": (rf"{_SUFFIX}|{_BEFORE}\p{{L}}+|\p{{N}}{{1}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{_TAIL}",),
    "Chameleon": ("<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", r"([\t\n]|    |  )"),
    "SuperBPE": (r"\p{N}+", r"(?=(\d{3})+(?!\d))"),
    "CLIP": (
        rf"<\|startoftext\|>|<\|endoftext\|>|{_SUFFIX}|[\p{{L}}]+|[\p{{N}}]|[^\s\p{{L}}\p{{N}}]+",
        r"\s+",
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_patterns_of_published_tokenizers_are_taken(name: str) -> None:
    assert {p: costly(p) for p in PUBLISHED[name]} == dict.fromkeys(PUBLISHED[name])


def test_texts_to_split_at_are_no_patterns() -> None:
    """Gemma and SentencePiece's kin: spaces are replaced, and no expression is run."""
    space = {"String": " "}
    gemma = {
        "normalizer": {"type": "Replace", "pattern": space, "content": "▁"},
        "pre_tokenizer": {"type": "Split", "pattern": space, "behavior": "MergedWithPrevious"},
    }
    assert list(patterns_of(gemma)) == []


@pytest.mark.parametrize(
    "pattern",
    [
        "[a-z ]*[a-z ]*!",
        r"\w+\w+$",
        "(a+b+)c",
        r"a*a*\b",
        "(?:a*|b)(?:a*|b)c",
        r"\p{N}{1,3}+x",
        r"(\p{N}{1,3}+)x",
        "[a-z ]*(?:[a-z ]*!)",
        "[a-z ]*(?=[a-z ]*!)",
        "[a-z ]*(?>[a-z ]*!)",
        "[a-z ]{0,9999}[a-z ]{0,9999}!",
    ],
)
def test_what_must_match_after_two_endless_quantifiers_is_refused(pattern: str) -> None:
    assert costly(pattern)
