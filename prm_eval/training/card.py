"""The card of a trained verifier: what it is, of which data, what was measured, and what it must not be used for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from prm_eval.evaluation.drawing import COLOURS, svg_of
from prm_eval.training.figures import Figures

CARD = "README.md"
CURVE = "training.svg"
NAMES = {"step_auc": "step AUC", "processbench_f1": "ProcessBench F1", "solution_auc": "solution AUC"}


def card_text(record: Mapping[str, Any], figures: Figures) -> str:
    """Return the card.

    Args:
        record: What ``training.json`` says.
        figures: The figures on held-out problems.
    """
    kind = {"prm": "process", "orm": "outcome"}[record["kind"]]
    front = ["---", f"base_model: {json.dumps(record['base']['id'])}", "library_name: transformers"]
    front += ["tags: [reward-model, " + record["kind"] + ", prm_eval]", "---", ""]
    lines = [
        *front,
        f"# A {kind} reward model, trained with prm_eval",
        "",
        "An ordinary checkpoint of transformers. `recipe.yaml` says how it is fed and read:",
        "",
        "```bash",
        "prm-eval score POOL --reward-model FOLDER --recipe FOLDER/recipe.yaml -o POOL/rewards/NAME",
        "```",
        "",
        "## Data",
        "",
        *_data_lines(record),
        "",
        "## Figures",
        "",
        *_figure_lines(record, figures),
        "",
        "## What it must not be used for",
        "",
        *_warnings(record),
        "",
        "## How it was made",
        "",
        "```bash",
        record["command"] or "(not from the command line)",
        "```",
        "",
        *_work_lines(record),
        "",
    ]
    return "\n".join(lines)


def _data_lines(record: Mapping[str, Any]) -> list[str]:
    data, examples = record["data"], record["examples"]
    targets = ", ".join(f"{count:,.0f} {name}" for name, count in examples["targets"].items() if count)
    hashes = {key: value for key, value in data.items() if isinstance(value, str) and key not in ("name", "path")}
    files = data.get("files", {})
    lines = [
        f"* {data['name']} (`{data['path']}`), labels of the kind {data['labels']}, by {data['label_source']}: "
        f"{examples['trained_on']:,} solutions of {examples['problems']:,} problems; targets: {targets}.",
        *(f"* {key}: `{value}`" for key, value in hashes.items() if key not in ("labels", "label_source")),
        *(f"* file `{name}`: `{value}`" for name, value in files.items()),
        f"* base: `{record['base']['id']}` " + json.dumps({k: v for k, v in record["base"].items() if k != "id"}),
    ]
    if examples["left_out"]:
        first = examples["first_left_out"]
        left = "; ".join(
            f"{reason} {count:,}" + (f" (first {first[reason]})" if reason in first else "")
            for reason, count in examples["left_out"].items()
        )
        lines.append(f"* Not trained on: {left}.")
    if examples["cut_otherwise_by_the_recipe"]:
        lines.append(
            f"* {examples['cut_otherwise_by_the_recipe']:,} solutions have given steps that the recipe's own splitter "
            "would cut otherwise; the given ones were trained on."
        )
    if examples["contradictory_texts"]:
        lines.append(f"* {examples['contradictory_texts']:,} texts have two labels.")
    return lines


def _figure_lines(record: Mapping[str, Any], figures: Figures) -> list[str]:
    examples = record["examples"]
    if not figures.table:
        lines = ["Nothing was held out: nothing is known of how good it is."]
    else:
        lines = [
            f"Per cent, with 95 % limits over problems, on {examples['held_out_solutions']:,} solutions of "
            f"{examples['held_out_problems']:,} problems that it was not trained on (split by statement); of the "
            "checkpoint as it was loaded again.",
            "",
            *_markdown(figures.table),
        ]
    lines += ["", *(f"* {line}" for line in figures.lines if line.startswith("best of"))]
    return [*lines, "", "The course of the training: `training.jsonl`, `training.svg`."]


def _markdown(table: Sequence[Sequence[str]]) -> list[str]:
    head, *rows = ["| " + " | ".join(row) + " |" for row in table]
    return [head, "|" + "---|" * len(table[0]), *rows]


def _warnings(record: Mapping[str, Any]) -> list[str]:
    found = record["contamination"]
    lines = []
    if found["found"] and found["what"] == "keep":
        named = ", ".join(f"{name} ({count:,} problems)" for name, count in found["found"].items())
        lines.append(f"* **Figures on these sets are worth nothing: it was trained on their problems: {named}.**")
    elif found["found"]:
        named = ", ".join(f"{name} ({count:,} problems)" for name, count in found["found"].items())
        lines.append(f"* Problems of these sets were in the data and were left out: {named}.")
    checked = ", ".join(found["sets_checked"]) or "none"
    lines.append(
        f"* Held against the statements of {checked}. Problems in other words are not found, nor what the base saw."
    )
    if found["sets_unchecked"]:
        named = ", ".join(found["sets_unchecked"])
        lines.append(f"* **Not checked, because they could not be had: {named}.** Do not report figures on them.")
    if record["data"]["label_source"] in ("rollouts", "model", "judge"):
        lines.append(
            "* Its labels were made by a model: no person looked at these steps. It learned that model's faults."
        )
    lines += [
        "* A score is no proof: a right answer may be reached by wrong steps, and the other way round.",
        "* It was measured on problems like those of its data only; elsewhere nothing is known.",
    ]
    return lines


def _work_lines(record: Mapping[str, Any]) -> list[str]:
    work = record["work"]
    packed = (
        f"packed, {100 * work['shared']:.1f} % of the tokens shared with another example"
        if work["packed"]
        else f"padded ({work['why_padded']}), {100 * work['padding_waste']:.1f} % of the rows were padding"
    )
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return [
        f"{work['updates']:,} updates, {work['tokens']:,} tokens, {packed}; {work['seconds']} s on {work['device']}. "
        f"Loaded again it differs from the training's last forward pass by at most {record['loaded_again_apart']:.1g}. "
        f"{versions}.",
    ]


def curve_svg(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the curves of a training: the loss, and the held-out figures where there are any."""
    losses = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    held = [line for line in lines if line.get("held_out")]
    names = list(dict.fromkeys(name for line in held for name in line["held_out"]))

    def draw(axes: Any) -> None:
        first = axes[0] if names else axes
        first.plot(*zip(*losses, strict=True), color=COLOURS[0]) if losses else None
        first.set(xlabel="update", ylabel="loss")
        for at, name in enumerate(names):
            points = [(line["step"], 100 * line["held_out"][name]) for line in held if name in line["held_out"]]
            colour = COLOURS[(at + 1) % len(COLOURS)]
            axes[1].plot(
                *zip(*points, strict=True), marker="o", markersize=3, color=colour, label=NAMES.get(name, name)
            )
        if names:
            axes[1].set(xlabel="update", ylabel="held out, per cent")
            axes[1].legend(frameon=False)

    return svg_of(draw, (9, 3.5) if names else (5, 3.5), panels=2 if names else 1, columns=2 if names else 1)
