"""The ``prm-eval`` command: parse, call one function, print, choose the exit status (0 ok, 1 faults found, 2 usage)."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence

from prm_eval.cli.about import ABOUT_ACTIONS
from prm_eval.cli.cost import COST_ACTIONS
from prm_eval.cli.judging import JUDGING_ACTIONS
from prm_eval.cli.label import LABEL_ACTIONS
from prm_eval.cli.miniature import MINIATURE_ACTIONS
from prm_eval.cli.parser import build_parser
from prm_eval.cli.pools import POOL_ACTIONS
from prm_eval.cli.printing import finish_output, give_up_output, in_words, prepare_output, say
from prm_eval.cli.seeing import SEEING_ACTIONS
from prm_eval.cli.steps import STEPS_ACTIONS
from prm_eval.cli.submissions import SUBMISSION_ACTIONS
from prm_eval.cli.table import TABLE_ACTIONS
from prm_eval.cli.train import TRAIN_ACTIONS
from prm_eval.cli.types import settled
from prm_eval.errors import PrmEvalError

logger = logging.getLogger(__name__)

# argparse itself exits with 2
EXIT_FAULTS = 1
ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    **ABOUT_ACTIONS,
    **COST_ACTIONS,
    **JUDGING_ACTIONS,
    **LABEL_ACTIONS,
    **POOL_ACTIONS,
    **MINIATURE_ACTIONS,
    **SEEING_ACTIONS,
    **STEPS_ACTIONS,
    **SUBMISSION_ACTIONS,
    **TABLE_ACTIONS,
    **TRAIN_ACTIONS,
}
"""The function of each command; it returns the exit status."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    prepare_output()
    if given[:1] == ["run"]:
        return _guarded("prm-eval run", "interrupted", lambda: _run(given[1:]))
    again = "interrupted; long work resumes when the same command is run again"
    return _guarded("prm-eval", again, lambda: _act(given))


def _act(arguments: list[str]) -> int:
    options = settled(build_parser().parse_args(arguments))
    return ACTIONS[options.command](options)


def _guarded(name: str, interrupted: str, action: Callable[[], int]) -> int:
    """Return the exit status of an action; an error that is no fault of ours is one line."""
    try:
        try:
            return action()
        finally:
            # a full disk refuses output only here
            finish_output()
    except PrmEvalError as error:
        say(f"{name}: {error}", file=sys.stderr)
        return EXIT_FAULTS
    except KeyboardInterrupt:
        say(f"{name}: {interrupted}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # the reader of the pipe has closed it, as "| head" does
        give_up_output()
        return 0
    except OSError as error:
        logger.debug("the operating system refused", exc_info=True)
        say(f"{name}: {in_words(error)}", file=sys.stderr)
        give_up_output()
        return EXIT_FAULTS
    except MemoryError:
        say(f"{name}: there is not enough memory", file=sys.stderr)
        return EXIT_FAULTS


def _run(arguments: list[str]) -> int:
    """Run ``lm_eval run`` with our tasks; all options but ``--retry-minutes`` are those of lm_eval."""
    from prm_eval.harness import run_lm_eval

    for text in run_lm_eval(arguments):
        say(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
