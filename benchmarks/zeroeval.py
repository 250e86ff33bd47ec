"""Grade the 20-model MATH level-5 pool end to end, model by model, beside the accuracies that its source published.

    python benchmarks/zeroeval.py [--data ../shared/data] [--model NAME]

The published figures are over 721 problems, the pool has 424 of them: the gap that chance alone makes is shown as its
standard error. With --model, the candidates are listed that our grader and a plain string comparison of the source's
own extracted answer judge differently.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
from collections import defaultdict
from pathlib import Path

from tqdm import tqdm

from prm_eval.grading import grade

PUBLISHED_TOTAL = 721


def published(data: Path) -> dict[str, float]:
    """Return accuracy in per cent by model name, from the source's summary."""
    table = (data / "reference_curves" / "zeroeval_math-l5.summary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|\s*(\S+)\s*\|\s*\w+\s*\|\s*([\d.]+)\s*\|", table, re.MULTILINE)
    return {name: float(accuracy) for name, accuracy in rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("PRM_EVAL_DATA", "../shared/data")))
    parser.add_argument("--model", help="list the candidates of this model that are judged otherwise by plain strings")
    options = parser.parse_args()
    theirs = published(options.data)
    verdicts: dict[str, list[str]] = defaultdict(list)
    with (options.data / "bon" / "zeroeval_math_l5_20models.jsonl").open(encoding="utf-8") as lines:
        problems = [json.loads(line) for line in lines]
    for problem in tqdm(problems, unit="problem"):
        for sample in problem["samples"]:
            found = grade(problem["answer"], sample["text"])
            verdicts[sample["generator"]].append(found.verdict)
            plain = str(sample["answer"]).replace(" ", "") == problem["answer"].replace(" ", "")
            if sample["generator"] == options.model and plain != (found.verdict == "correct"):
                print(
                    f"{problem['id']}: gold {problem['answer']!r}, theirs {sample['answer']!r}, ours {found.answer!r} "
                    f"{found.verdict} ({found.rule}); text ends {sample['text'][-160:]!r}"
                )
    print(f"{'model':<36} {'ours':>6} {'published':>9} {'gap':>6} {'chance':>6} {'no answer':>9} {'undecided':>9}")
    for name, found in sorted(verdicts.items(), key=lambda item: -item[1].count("correct")):
        share = found.count("correct") / len(found)
        chance = 100 * math.sqrt(share * (1 - share) / len(found) * (1 - len(found) / PUBLISHED_TOTAL))
        known = next(
            (theirs[each] for each in theirs if each == name or each.startswith(name) or name.startswith(each)), None
        )
        gap = f"{100 * share - known:+6.1f}" if known is not None else "     ?"
        print(
            f"{name:<36} {100 * share:6.1f} {known if known is not None else '?':>9} {gap} {chance:6.1f} "
            f"{100 * found.count('no_answer') / len(found):9.1f} {100 * found.count('undecided') / len(found):9.2f}"
        )


if __name__ == "__main__":
    main()
