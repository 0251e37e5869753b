"""How the servers of many providers say the same things."""

from __future__ import annotations

from typing import Any

from scripted_server import bad, good, raw

REFUSALS: dict[str, tuple[str, int, bytes]] = {
    "openai by name": ("seed", 400, bad("Unsupported parameter: 'seed' is not supported with this model.")),
    "openai by value": (
        "temperature",
        400,
        bad("Unsupported value: 'temperature' does not support 0.5 with this model.", param="temperature"),
    ),
    "kimi by value": ("temperature", 400, bad("invalid temperature: only 1 is allowed for this model")),
    "tgi by value": ("temperature", 422, raw({"error": "`temperature` must be strictly positive"})),
    "bounds alone": ("top_p", 422, raw({"detail": [{"loc": ["body", "top_p"], "msg": "Input should be 1"}]})),
    "mistral extra": (
        "seed",
        422,
        raw(
            {
                "detail": [
                    {
                        "type": "extra_forbidden",
                        "loc": ["body", "seed"],
                        "msg": "Extra inputs are not permitted",
                    }
                ]
            }
        ),
    ),
    "vllm extra": (
        "seed",
        400,
        raw(
            {
                "object": "error",
                "message": "[{'loc': ('body', 'seed'), 'msg': 'Extra inputs are not permitted'}]",
            }
        ),
    ),
    "a python server": (
        "seed",
        500,
        raw({"detail": "create_chat_completion() got an unexpected keyword argument 'seed'"}),
    ),
    "gemini": (
        "seed",
        400,
        raw(
            [
                {
                    "error": {
                        "code": 400,
                        "message": 'Invalid JSON payload received. Unknown name "seed"',
                        "status": "INVALID_ARGUMENT",
                    }
                }
            ]
        ),
    ),
    "gemini camel case": (
        "top_p",
        400,
        raw([{"error": {"code": 400, "message": "Unknown name topP: no such field"}}]),
    ),
    "google by place": (
        "seed",
        400,
        raw(
            [
                {
                    "error": {
                        "message": "Bad value.",
                        "details": [{"fieldViolations": [{"field": "generation_config.seed"}]}],
                    }
                }
            ]
        ),
    ),
    "openrouter": (
        "seed",
        400,
        raw(
            {
                "error": {
                    "message": "Provider returned error",
                    "code": 400,
                    "metadata": {"raw": '{"error": {"message": "seed: not supported"}}'},
                }
            }
        ),
    ),
    "xai": (
        "seed",
        400,
        raw(
            {
                "code": "Client specified an invalid argument",
                "error": "Argument not supported on this model: seed",
            }
        ),
    ),
    "llama.cpp": (
        "seed",
        400,
        raw({"error": {"code": 400, "message": "Unsupported param: seed", "type": "invalid_request_error"}}),
    ),
    "ollama": ("top_p", 400, raw({"error": "option top_p is not accepted"})),
    "azure": (
        "seed",
        400,
        raw(
            {
                "error": {
                    "message": "Unrecognized request argument supplied: seed",
                    "type": "invalid_request_error",
                    "param": None,
                    "code": None,
                }
            }
        ),
    ),
    "both, the lesser goes": (
        "top_p",
        400,
        bad("`temperature` and `top_p` cannot both be specified for this model."),
    ),
    "together": ("top_p", 400, bad("temperature and top_p are not supported together")),
    "nobody is named": ("seed", 400, bad("Request contains an invalid argument.")),
}
"""A parameter, and the status and body with which it is refused."""

NO_SYSTEM: dict[str, tuple[int, bytes]] = {
    "gemma, mistral under vllm": (
        400,
        raw({"object": "error", "message": "System role not supported", "code": 400}),
    ),
    "mistral": (400, bad("Conversation roles must alternate user/assistant/user/assistant/...")),
    "gemini api with gemma": (
        400,
        raw([{"error": {"message": "Developer instruction is not enabled for models/gemma"}}]),
    ),
    "o1": (
        400,
        bad(
            "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
            param="messages[0].role",
        ),
    ),
    "llama.cpp": (500, bad("Jinja error: System role not supported")),
    "in no words": (400, bad("Bad Request")),
    "unprocessable": (422, raw({"detail": "unprocessable"})),
}
"""Status and body with which a system turn is refused."""

ELSEWHERE: dict[str, dict[str, Any]] = {
    "magistral": {
        "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
            {"type": "text", "text": "said"},
        ]
    },
    "several parts": {"content": [{"type": "text", "text": "sa"}, {"type": "output_text", "text": "id"}]},
    "a refusal among parts": {"content": [{"type": "refusal", "refusal": "said"}]},
    "google's parts": {"content": {"parts": [{"text": "hm", "thought": True}, {"text": "said"}]}},
    "a refusal beside it": {"content": None, "refusal": "said"},
    "thoughts beside it": {"content": "said", "reasoning_content": "hm"},
}
"""Messages whose text is ``said``."""

BESIDE: dict[str, dict[str, Any]] = {
    "a parser took it for a thought": {"content": None, "reasoning_content": '{"a": 1}'},
    "openrouter's name for it": {"content": "", "reasoning": '{"a": 1}'},
    "the schema as a tool": {
        "content": None,
        "tool_calls": [{"function": {"name": "answer", "arguments": '{"a": 1}'}}],
    },
    "parsed already": {"content": {"a": 1}},
}
"""Messages with the reply ``{"a": 1}``, and none in ``content``."""

INSIDE: dict[str, dict[str, Any]] = {
    "openrouter, in the choice": {
        "choices": [
            {
                "error": {"code": 502, "message": "overloaded"},
                "finish_reason": "error",
                "message": {"content": ""},
            }
        ]
    },
    "in mid-answer": {
        "choices": [{"error": {"code": 502, "message": "overloaded"}, "message": {"content": "The Ni"}}]
    },
    "finish alone": {"choices": [{"finish_reason": "error", "message": {"content": ""}}]},
    "openrouter, beside": {"error": {"code": 429, "message": "slow down"}},
    "a text": {"error": "model is loading"},
    "vllm": {"object": "error", "message": "engine died", "code": 500},
    "minimax": {"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}},
}
"""Answers with status 200 that are none: trying again helps."""

OWN: dict[str, tuple[int, bytes]] = {
    "openrouter moderation": (
        403,
        raw(
            {
                "error": {
                    "code": 403,
                    "message": 'Your input was flagged for "harassment".',
                    "metadata": {"reasons": ["harassment"]},
                }
            }
        ),
    ),
    "xai": (
        403,
        raw({"code": "x", "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK"}),
    ),
    "a 403 in unknown words": (403, raw({"message": "computer says no"})),
    "a 403 without words": (403, b""),
    "legal reasons": (451, b""),
    "azure": (
        400,
        raw(
            {
                "error": {
                    "message": "The response was filtered",
                    "code": "content_filter",
                    "innererror": {"code": "ResponsibleAIPolicyViolation"},
                }
            }
        ),
    ),
    "azure, inner code alone": (
        400,
        raw(
            {
                "error": {
                    "message": "No.",
                    "code": "400",
                    "innererror": {"code": "ResponsibleAIPolicyViolation"},
                }
            }
        ),
    ),
    "deepseek": (400, bad("Content Exists Risk", code="invalid_request_error")),
    "alibaba": (400, bad("Input data may contain inappropriate content.", code="data_inspection_failed")),
    "moonshot": (400, bad("The request was rejected because it was considered high risk")),
    "anthropic": (400, bad("Output blocked by content filtering policy")),
    "openai": (
        400,
        bad(
            "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
            code="invalid_prompt",
        ),
    ),
    "litellm at 500": (
        500,
        raw({"error": {"message": "litellm.ContentPolicyViolationError: no", "code": "500"}}),
    ),
    "gemini inside": (200, raw({"choices": [], "usage": {"prompt_tokens": 3}})),
    "gemini's finish": (200, good("", finish="SAFETY")),
    "zhipu": (200, good("", finish="sensitive")),
    "minimax": (
        200,
        raw({"choices": None, "base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}}),
    ),
    "openrouter inside": (200, raw({"error": {"code": 403, "message": "flagged by moderation"}})),
}
"""Status and body with which a filter refuses one chat."""

LONG: dict[str, tuple[int, bytes]] = {
    "vllm": (400, bad("This model's maximum context length is 8 tokens. However, you requested 40 tokens")),
    "anthropic": (400, bad("input length and `max_tokens` exceed context limit: 190000 + 16384 > 200000")),
    "gemini": (
        400,
        raw([{"error": {"message": "The input token count (20) exceeds the maximum number of tokens (8)."}}]),
    ),
    "llama.cpp": (
        500,
        raw(
            {
                "error": {
                    "message": "the request exceeds the available context size",
                    "type": "exceed_context_size_error",
                }
            }
        ),
    ),
    "groq": (413, bad("Request too large for model `m`")),
    "openai's window": (429, bad("Request too large for m on tokens per min (TPM): Limit 30, Requested 44.")),
}
"""Status and body with which a chat is refused that does not fit."""

WAITS: dict[str, bytes] = {
    "gemini": raw(
        [
            {
                "error": {
                    "code": 429,
                    "message": "Quota.",
                    "details": [{"@type": "RetryInfo", "retryDelay": "0.4s"}],
                }
            }
        ]
    ),
    "openai": bad("Rate limit reached. Please try again in 400ms."),
    "azure": bad("Your requests have exceeded the rate limit. Please retry after 0.4 seconds."),
    "a field": raw({"error": {"message": "slow", "metadata": {"retry_after": 0.4}}}),
}
"""Bodies that ask to wait 0.4 s."""
