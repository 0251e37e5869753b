"""Writes what a run made, each product to its place.

The products: constitution, training examples, preference pairs, figure, model, records. Knows where products
go by default (into the run's ``exports`` folder), not how they are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from iteralign.constitution.export import to_json, to_markdown, to_yaml
from iteralign.errors import RecipeError
from iteralign.records.iteralign import Checkpoint, Constitution, Principle
from iteralign.report import export, figure
from iteralign.report.summary import constitution, score_rows, summary
from iteralign.report.summary import judge as judge_of
from iteralign.store.files import must_be_folder, write_for_user
from iteralign.store.run import Run

ENDINGS = {"markdown": "md", "yaml": "yaml", "json": "json"}


def write(
    run: Run,
    product: str,
    *,
    form: str = "markdown",
    out: Path | None = None,
    locate: Callable[[Checkpoint], str] | None = None,
    base: bool = False,
) -> dict[str, Any]:
    """Write one product and say where it is and how much.

    ``form`` is the constitution's, ``base`` the model's: the one that the run began with. Raises
    ``StoreError`` and ``RecipeError``.
    """
    if base and product != "model":
        raise RecipeError(f"--base: it goes with model, not with {product}; leave it away")
    folder = run.directory / "exports"
    must_be_folder(folder)
    self_align = run.settings.get("method") == "self-align"
    match product:
        case "constitution":
            found = rules(run) if self_align else constitution(run)
            text = {"markdown": to_markdown, "yaml": to_yaml, "json": to_json}[form](found)
            path = out or folder / f"constitution.{ENDINGS[form]}"
            write_for_user(path, text)
            return {"path": str(path), "principles": sum(p.status == "active" for p in found.principles)}
        case "preferences" if self_align:
            raise RecipeError(
                "preferences: Self-Align makes no pairs of a better and a worse answer; export examples"
            )
        case "examples" | "preferences":
            rows: Iterable[export.Row] = (
                export.self_align_examples(run) if self_align else export.training_examples(run)
            )
            rows = rows if product == "examples" else export.preference_pairs(run)
            path = out or folder / f"{product}.jsonl"
            return {"path": str(path), "rows": export.write_jsonl(rows, path)}
        case "figure":
            return _figure(run, out or folder)
        case "model":
            others: list[str] = []
            done = export.model(run, out or folder / "model", locate, base=base, left_out=others.extend)
            return {"path": str(done)} | ({"left_out": others} if others else {})
        case "records":
            if out is not None:
                raise RecipeError(
                    f"--out {out}: records are always written into the run, to {folder}; leave --out away"
                )
            return {"path": str(folder), "files": len(run.export())}
    raise RecipeError(
        f"{product!r}: no such product. Known: constitution, examples, preferences, figure, model, records"
    )


def rules(run: Run) -> Constitution:
    """The rules of a Self-Align run as a constitution, each with its name as the category."""
    words: dict[str, Any] = next(iter(run.read(dict[str, Any], "data", "words")), {"rules": []})
    return Constitution(
        principles=tuple(Principle(text=text, category=name) for name, text in words["rules"])
    )


def _figure(run: Run, folder: Path) -> dict[str, Any]:
    """The scores over the iterations: ``scores.svg``, ``scores.md`` and ``scores.tex`` in the folder."""
    self_align = run.settings.get("method") == "self-align"
    data = (
        {"recipe": run.settings["name"], "seed": run.settings["seed"], "improvement": []}
        if self_align
        else summary(run)
    )
    rows = score_rows(run)
    judge = judge_of(run)["told"]
    title = f"{data['recipe']}, seed {data['seed']}"
    texts = {
        "svg": figure.svg(rows, title, judge),
        "md": figure.markdown(
            rows, title, data["improvement"], published=str(data["recipe"]).startswith("paper-"), judge=judge
        ),
        "tex": figure.latex(rows, title, judge),
    }
    for ending, text in texts.items():
        write_for_user(folder / f"scores.{ending}", text)
    return {"path": str(folder / "scores.svg"), "files": [str(folder / f"scores.{e}") for e in texts]}
