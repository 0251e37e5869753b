"""The table of this suite in docs/security.md is that of its files."""

from __future__ import annotations

from hostile.counts import PAGE, kinds, rows


def test_every_file_has_its_row_and_every_row_its_file() -> None:
    listed = rows(PAGE.read_text(encoding="utf-8"))
    assert {name: kind for name, (kind, _) in listed.items()} == kinds(), (
        "make the table anew: python tests/hostile/counts.py"
    )
    assert all(number > 0 for _, number in listed.values())
    assert sum(number for _, number in listed.values()) >= 500
