"""The child of :mod:`prm_eval.submissions.checking.worker`: it limits itself and answers lines until its input ends.

After an answer with the key ``arrays`` (candidates, step rewards, candidates with a number of tokens) stand the
arrays themselves: the steps of each candidate (int64), and all step rewards (float64).
"""

from __future__ import annotations

import json
import resource
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

# exit status
OUT_OF_MEMORY = 77
# faults that are returned
MOST_FAULTS = 100_000


class WithoutPandas(MetaPathFinder):
    """Lets pyarrow do without pandas: it would import it, if it can, for nothing that is asked of it here.

    That takes as long as everything else that the child imports, and memory under its limit.
    """

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Refuse pandas, and leave every other module to the finders that follow.

        Raises:
            ModuleNotFoundError: The module is pandas.
        """
        if name == "pandas":
            raise ModuleNotFoundError("the reader of Parquet files does without pandas", name=name)


def main() -> None:
    """Answer questions from standard input."""
    limit = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.meta_path.insert(0, WithoutPandas())
    from prm_eval.errors import PrmEvalError
    from prm_eval.rewards.files.step_arrays import Form, StepArrays
    from prm_eval.submissions.checking.rows import Expected, expected_of, read_rows, size_limit

    pools: dict[str, Any] = {}
    expected: dict[tuple[str, str | None], Expected] = {}

    def answer(question: dict[str, Any]) -> tuple[dict[str, Any], StepArrays | None]:
        """Check a pool, or the rows of a submission, whose step rewards are returned too if they are in order."""
        from prm_eval.pools.pool import Pool

        if "step_set" in question:
            from prm_eval.submissions.checking.step_sets import look_at

            return look_at(Path(question["step_set"])), None
        folder = question["pool"]
        if folder not in pools:
            pools[folder] = Pool(folder).require_sound()
        pool = pools[folder]
        if "rewards" not in question:
            return {"content_hash": pool.info.content_hash, "candidates": pool.info.n_candidates}, None
        key = (folder, question["splitter"])
        if key not in expected:
            try:
                expected[key] = expected_of(pool, question["splitter"])
            except PrmEvalError as error:
                return {"splitter": str(error)}, None
        path, limit = Path(question["rewards"]), size_limit(expected[key])
        if path.stat().st_size > limit:
            return {"found": [("size", None, f"{path.stat().st_size:,} bytes", f"at most {limit:,}")]}, None
        form = Form(**question["about"], splitter=question["splitter"] or pool.info.splitter)
        checked = read_rows(path, expected[key], form)
        found = [(each.kind, each.row, each.found, each.expected) for each in checked.faults[:MOST_FAULTS]]
        return {"found": found, "totals": checked.totals}, checked.steps

    _say({"ready": True})
    for line in sys.stdin.buffer:
        question, steps = json.loads(line), None
        try:
            reply, steps = answer(question)
        except (PrmEvalError, OSError) as error:
            reply = {"error": str(error)}
        except MemoryError:
            sys.exit(OUT_OF_MEMORY)
        if steps is None or not question.get("arrays"):
            _say(reply)
        else:
            _say(reply | {"arrays": [len(steps.counts), len(steps.values), steps.told_tokens]})
            sys.stdout.buffer.write(steps.counts.tobytes() + steps.values.tobytes())
            sys.stdout.buffer.flush()


def _say(reply: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
