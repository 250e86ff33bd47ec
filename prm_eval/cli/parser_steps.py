"""The options of the commands about step sets: ``steps import|show|verify`` and ``explain-steps``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prm_eval.cli.types import Later, add_choice, add_command, add_group, names


def steps_parser(commands: Any) -> None:
    """Add ``prm-eval steps`` and ``prm-eval explain-steps``."""
    text = "import, show or verify a step set: solutions with given steps, and labels of these steps apart from them"
    actions = add_group(commands, "steps", text, "import processbench_*.jsonl -o SET")
    _import(actions)
    show = add_command(
        actions,
        "show",
        "counts, balance, what labels say and who made them, leaks by which they can be told, a table of groups",
        "SET",
        "steps show",
    )
    _set(show)
    verify = add_command(
        actions,
        "verify",
        "recompute the hashes of a step set, and check that every label fits its steps; exit status 1 on faults",
        "SET",
        "steps verify",
    )
    _set(verify)
    _explain(commands)


def _set(command: Any) -> None:
    command.add_argument("step_set", type=Path, metavar="SET", help="a step set: the folder of prm-eval steps import")


def _import(actions: Any) -> None:
    load = add_command(
        actions,
        "import",
        "files with labelled steps (ProcessBench, PRMBench, PRM800K, Mr-Ben, plain rows, ...) -> step set",
        "processbench_*.jsonl -o SET",
        "steps import",
    )
    load.add_argument(
        "file",
        nargs="+",
        help="a file, a folder, a glob, several of them (they make one set), or "
        "hf://owner/dataset[:config[:split]][@revision]; the format is recognised by the first row. A plain row is "
        '{"id", "problem", "steps": [...], "label": K or -1}, or "ratings": [1, 0, -1, null], or "wrong_steps": [2, 5] '
        'with "base": 1',
    )
    load.add_argument("-o", "--output", type=Path, required=True, metavar="SET", help="the step set to make")
    add_choice(
        load,
        "--format",
        default="auto",
        choices=Later("prm_eval.importers.steps:STEP_FORMATS", before=["auto"]),
        help="instead of recognising it",
    )
    load.add_argument("--name", help="of the set (default: the benchmark's, or the file's)")
    load.add_argument(
        "--candidates",
        action="store_true",
        help="PRM800K: every rated completion with the steps before it, in place of the chosen chains",
    )
    load.add_argument(
        "--keep",
        type=names,
        default=[],
        metavar="A,B",
        help="PRM800K: keep records that are left out otherwise: screening, quality_control, bad_problem",
    )
    load.add_argument(
        "--strip-numbers", action="store_true", help='take "3. " and "Step 3. " off steps, as PRMBench\'s script does'
    )
    load.add_argument(
        "--score-type",
        action="append",
        metavar="[FIELD=]TYPE",
        help="what step scores in the file are: probability, log_odds, logit, raw or percent; may be repeated",
    )
    load.add_argument(
        "--skip-bad", action="store_true", help="leave out solutions with a fault, count and list them; else they stop"
    )


def _explain(commands: Any) -> None:
    explain = add_command(
        commands,
        "explain-steps",
        "one solution of a step set: each step with the human mark, and per reward model its score, a bar, the verdict",
        "SET gsm8k-3 SET/rewards/my_prm --threshold 0.4",
    )
    _set(explain)
    explain.add_argument(
        "solution", nargs="?", metavar="SOLUTION_ID", help="which (default: the first few with a wrong step)"
    )
    explain.add_argument(
        "rewards", type=Path, nargs="*", metavar="REWARDS", help="reward folders (default: those in the set)"
    )
    explain.add_argument(
        "--threshold",
        type=float,
        metavar="T",
        help="a step is called wrong if its score is below it (default: 0.5 for probabilities and log-odds, which are "
        "shown as probabilities; 0 for raw numbers)",
    )
