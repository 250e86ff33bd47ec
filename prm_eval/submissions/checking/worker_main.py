"""The child of :mod:`prm_eval.submissions.checking.worker`: it limits itself and answers lines until its input ends."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

# exit status
OUT_OF_MEMORY = 77
# faults that are returned
MOST_FAULTS = 100_000


def main() -> None:
    """Answer questions from standard input."""
    limit = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from prm_eval.errors import PrmEvalError
    from prm_eval.rewards.files.step_arrays import Form
    from prm_eval.submissions.checking.rows import Expected, check_rows, expected_of, size_limit

    pools: dict[str, Any] = {}
    expected: dict[tuple[str, str | None], Expected] = {}

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        """Check a pool, or the rows of a submission."""
        from prm_eval.pools.pool import Pool

        folder = question["pool"]
        if folder not in pools:
            pools[folder] = Pool(folder).require_sound()
        pool = pools[folder]
        if "rewards" not in question:
            return {"content_hash": pool.info.content_hash, "candidates": pool.info.n_candidates}
        key = (folder, question["splitter"])
        if key not in expected:
            expected[key] = expected_of(pool, question["splitter"])
        path, limit = Path(question["rewards"]), size_limit(expected[key])
        if path.stat().st_size > limit:
            return {"found": [("size", None, f"{path.stat().st_size:,} bytes", f"at most {limit:,}")], "totals": {}}
        form = Form(**question["about"], splitter=question["splitter"] or pool.info.splitter)
        faults, totals = check_rows(path, expected[key], form)
        found = [(each.kind, each.row, each.found, each.expected) for each in faults[:MOST_FAULTS]]
        return {"found": found, "totals": totals}

    _say({"ready": True})
    for line in sys.stdin.buffer:
        try:
            reply = answer(json.loads(line))
        except PrmEvalError as error:
            reply = {"error": str(error)}
        except MemoryError:
            sys.exit(OUT_OF_MEMORY)
        _say(reply)


def _say(reply: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
