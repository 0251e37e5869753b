"""Models behind an OpenAI-compatible HTTP server."""

from iteralign.engines.openai.generator import OpenAIEngine

__all__ = ["OpenAIEngine"]
