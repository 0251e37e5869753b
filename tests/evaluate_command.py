"""``iteralign evaluate`` called in this process."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner

from iteralign.cli.main import app


def call(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.output


def objects(*arguments: object) -> list[dict[str, Any]]:
    return [json.loads(line) for line in call(*arguments, "--json").splitlines()]
