"""An oracle that is any chat model with templates."""

from iteralign.oracles.chat.oracle import ChatOracle

__all__ = ["ChatOracle"]
