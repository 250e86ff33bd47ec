"""The ``prm-eval`` command: parse, call one function, print, choose the exit status (0 ok, 1 faults found, 2 usage)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from prm_eval.cli.about import ABOUT_ACTIONS
from prm_eval.cli.judging import JUDGING_ACTIONS
from prm_eval.cli.miniature import MINIATURE_ACTIONS
from prm_eval.cli.parser import build_parser
from prm_eval.cli.pools import POOL_ACTIONS
from prm_eval.cli.seeing import SEEING_ACTIONS
from prm_eval.cli.submissions import SUBMISSION_ACTIONS
from prm_eval.cli.types import settled
from prm_eval.errors import PrmEvalError

# argparse itself exits with 2
EXIT_FAULTS = 1
ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    **ABOUT_ACTIONS,
    **JUDGING_ACTIONS,
    **POOL_ACTIONS,
    **MINIATURE_ACTIONS,
    **SEEING_ACTIONS,
    **SUBMISSION_ACTIONS,
}
"""The function of each command; it returns the exit status."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["run"]:
        return _run(given[1:])
    options = settled(build_parser().parse_args(given))
    try:
        status: int = ACTIONS[options.command](options)
    except PrmEvalError as error:
        print(f"prm-eval: {error}", file=sys.stderr)
        return EXIT_FAULTS
    except KeyboardInterrupt:
        print("prm-eval: interrupted; long work resumes when the same command is run again", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # the reader of the pipe has closed it, as "| head" does
        sys.stderr.close()
        return 0
    return status


def _run(arguments: list[str]) -> int:
    """Run ``lm_eval run`` with our tasks; all options but ``--retry-minutes`` are those of lm_eval."""
    from prm_eval.harness import run_lm_eval

    try:
        for text in run_lm_eval(arguments):
            print(text)
    except PrmEvalError as error:
        print(f"prm-eval run: {error}", file=sys.stderr)
        return EXIT_FAULTS
    except KeyboardInterrupt:
        print("prm-eval run: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
