"""A process of its own that renders chat templates of others, with a limit on its time and its memory.

Reads requests from standard input and answers on standard output, one JSON object a line. Started by
``template_guard``; knows transformers' sandbox and nothing of ours.
"""

from __future__ import annotations

import json
import sys
from typing import Any

SECONDS = 1
"""Of processor time, that one chat may take: a template of a real model takes a millisecond."""
MEMORY = 256 << 20
"""Bytes beyond what the process has when it is ready."""
ROOM = 1 << 20
"""Characters that a template may add to a chat."""


def main() -> None:
    """Answer requests until standard input ends."""
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    replies = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints is no reply
    templates: dict[str, str] = {}
    _limit_memory()
    print("{}", file=replies, flush=True)
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        if "template" in asked:
            templates[asked["name"]] = asked["template"]
        _limit_time()
        try:
            (text,), _ = render_jinja_template(
                conversations=[asked["turns"]], chat_template=templates[asked["name"]], **asked["settings"]
            )
            most = ROOM + 16 * len(line)
            told = {"text": text} if len(text) <= most else {"why": f"it writes {len(text)} characters"}
        except TemplateError as error:
            told = {"why": str(error)[:1000]}
        except MemoryError:
            told = {"why": f"it takes more than {MEMORY >> 20} MiB of memory"}
        except Exception as error:  # noqa: BLE001  (a template can raise anything that Python does)
            told = {"why": f"{type(error).__name__}: {str(error)[:1000]}"}
        print(json.dumps(told), file=replies, flush=True)


def _limit_memory() -> None:
    try:
        import resource
        from pathlib import Path
    except ImportError:  # Windows: the one who asks waits no longer than the time, and memory is not limited
        return
    pages = Path("/proc/self/statm")
    own = int(pages.read_text().split()[0]) * resource.getpagesize() if pages.exists() else 2 << 30
    _set(resource.RLIMIT_AS, own + MEMORY)
    _set(resource.RLIMIT_CORE, 0)


def _limit_time() -> None:
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _set(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + SECONDS)


def _set(which: int, limit: int) -> None:
    import resource

    hard = resource.getrlimit(which)[1]
    try:
        resource.setrlimit(which, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    except (ValueError, OSError):  # the system has no such limit (macOS: memory)
        return


if __name__ == "__main__":
    main()
