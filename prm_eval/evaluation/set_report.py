"""The table of several problem sets as text for the terminal."""

from __future__ import annotations

from prm_eval.evaluation.baselines import BASELINES
from prm_eval.evaluation.by_set import SetDifference, SetRow, SetTable
from prm_eval.evaluation.report import aligned, label
from prm_eval.evaluation.summary import CurveKey
from prm_eval.texts.names import short_names

SHOWN = ("first", "majority", "best_of_n", "weighted_majority", "oracle")
"""The selectors of the table, in order; all others are in the JSON form."""


def set_lines(table: SetTable, n: int | None = None) -> list[str]:
    """Return the table as lines: accuracies at one n with limits, paired differences with the sign test, notes.

    Args:
        table: The table.
        n: The n that is shown; the largest by default.
    """
    n = n if n is not None else table.ns[-1]
    short = short_names(row.reward_model for row in table.rows if row.reward_model is not None)
    percent = round(100 * table.level)
    lines = [
        f"{len(table.sets)} problem sets, {sum(each['n_problems'] for each in table.sets):,} problems, "
        f"{', '.join(table.policies)}",
        f"accuracy in % at n = {n}; {percent} % limits over problems, drawn within each set",
        "",
        *_accuracies([row for row in table.rows if row.n == n and row.selector in SHOWN], short),
    ]
    shown = [each for each in table.differences if each.n == n and each.selector in SHOWN]
    if shown:
        lines += ["", f"paired differences at n = {n}, in points, and the sign test over problems"]
        lines += _differences(shown, short, percent)
        lines.append(
            "p: how often a fair coin for each problem that tells the two apart would be as uneven; not adjusted"
        )
    lines += ["", *_sets(table)]
    return lines + [""] * bool(table.notes) + [f"note: {note}" for note in table.notes]


def _name(key: CurveKey, short: dict[str, str]) -> str:
    selector, model = key
    return label(selector, None if model is None else short[model])


def _accuracies(rows: list[SetRow], short: dict[str, str]) -> list[str]:
    keys = sorted(dict.fromkeys((row.selector, row.reward_model) for row in rows), key=lambda key: SHOWN.index(key[0]))
    cells = [["set", "problems", *(_name(key, short) for key in keys)]]
    for name in dict.fromkeys(row.row for row in rows):
        found = {(row.selector, row.reward_model): row for row in rows if row.row == name}
        cells.append([name, f"{found[keys[0]].n_problems:,}", *(_cell(found[key]) for key in keys)])
    return aligned(cells)


def _cell(row: SetRow) -> str:
    about = "~" if row.mc_se > 0 else ""
    return f"{100 * row.value:.1f}{about} [{100 * row.low:.1f}, {100 * row.high:.1f}]"


def _differences(shown: list[SetDifference], short: dict[str, str], percent: int) -> list[str]:
    cells = [["", "difference", f"[{percent} %]", "ahead", "behind", "same", "p"]]
    for each in shown:
        minus = (each.minus_selector, each.minus_reward_model)
        other = BASELINES[minus[0]].short if minus[0] in BASELINES else _name(minus, short)
        cells.append(
            [
                f"{each.row}: {_name((each.selector, each.reward_model), short)} - {other}",
                f"{100 * each.value:+.1f}",
                f"[{100 * each.low:+.1f}, {100 * each.high:+.1f}]",
                f"{each.sign.ahead:,}",
                f"{each.sign.behind:,}",
                f"{each.sign.same:,}",
                f"{each.sign.p:.4f}",
            ]
        )
    return aligned(cells)


def _sets(table: SetTable) -> list[str]:
    cells = [["set", "pool", "problems", "slots", "grades"]]
    for each in table.sets:
        cells.append(
            [
                f"{each['row']}: {each['name']}" if each["row"] != each["name"] else each["name"],
                each["content_hash"][:12],
                f"{each['n_problems']:,}",
                str(each["m"]),
                each["grades"],
            ]
        )
    return aligned(cells)
