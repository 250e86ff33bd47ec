"""The options of the commands that show candidates: ``pool show`` and ``rank``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prm_eval.cli.types import Later, add_choice, add_command, names, positive


def rank_parser(commands: Any) -> None:
    """Add ``prm-eval rank``."""
    rank = add_command(
        commands,
        "rank",
        "the candidate that each reward model ranks first, with its weakest step; needs no gold answers",
        "POOL POOL/rewards/qwen",
    )
    rank.add_argument("pool", type=Path, help="a pool folder")
    rank.add_argument(
        "rewards", type=Path, nargs="*", metavar="REWARDS", help="reward folders (default: those in the pool)"
    )
    rank.add_argument(
        "--aggregation", type=names, metavar="prod,min", help="rank by each of these (default: the declared one)"
    )
    rank.add_argument("--json", action="store_true", help="print one JSON object")


def show_parser(actions: Any) -> None:
    """Add ``prm-eval pool show``."""
    show = add_command(
        actions,
        "show",
        "what a pool holds, or some of its candidates with steps, rewards, answers and verdicts",
        "POOL --problem ID --verdict no_answer",
        "pool show",
    )
    show.add_argument("pool", type=Path, help="a pool folder")
    show.add_argument("--problem", metavar="ID", help="the candidates of this problem")
    show.add_argument("--slot", type=int, metavar="K", help="only this one of them")
    add_choice(
        show,
        "--verdict",
        choices=Later("prm_eval.records:VERDICTS"),
        help="only candidates with this grade; without --problem, the first of any problem",
    )
    show.add_argument(
        "--rewards",
        action="append",
        metavar="R",
        help="a reward folder, or the name of one in the pool; may be repeated (default: all in the pool)",
    )
    show.add_argument(
        "--grades", default="auto", help="own, published, or a grader's name (default: as prm-eval evaluate has it)"
    )
    show.add_argument(
        "--most", type=positive, metavar="N", help="candidates shown (default: all of a problem, or else 10)"
    )
    show.add_argument("--html", type=Path, metavar="FILE", help="write one self-contained page instead")
