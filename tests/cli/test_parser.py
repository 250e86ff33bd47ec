"""The parser: every command teaches by an example, old spellings still work, and choices are those of the rooms."""

from __future__ import annotations

import argparse
import shlex

import pytest

from prm_eval.cli.commands import ACTIONS, main
from prm_eval.cli.parser import build_parser
from prm_eval.cli.types import EXAMPLE, Later, settled
from prm_eval.importers import FORMATS
from prm_eval.rewards import OPTIONS
from prm_eval.rewards.engine.engine import BATCH_TOKENS, CPU_BATCH_TOKENS
from prm_eval.rewards.models.checkpoint import DTYPES
from prm_eval.rewards.models.recipe_checkpoint import ENGINES
from prm_eval.rewards.scoring import RUNNERS
from prm_eval.selection.selectors import DEFAULT_DRAWS, DEFAULT_SEED
from prm_eval.texts.steps import SPLITTERS


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return every command's parser by what one types, those of actions among them; `run` has lm_eval's help."""
    found: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                if each.prog != "prm-eval run":
                    found |= {each.prog: each, **commands(each)}
    return found


ALL = commands(build_parser())


def option(command: str, flag: str) -> argparse.Action:
    return next(each for each in ALL[command]._actions if flag in each.option_strings)


@pytest.mark.parametrize("command", ALL)
def test_the_last_line_of_help_is_an_example_that_parses(command, monkeypatch) -> None:
    """An example that the parser refuses teaches a mistake; one that is wrapped cannot be copied."""
    monkeypatch.setenv("COLUMNS", "60")
    last = ALL[command].format_help().rstrip().splitlines()[-1]
    assert last.startswith(f"{EXAMPLE}{command}")
    words = shlex.split(last.removeprefix(EXAMPLE))[1:]
    parsed = build_parser().parse_args(words)
    assert f"prm-eval {parsed.command}".startswith(command) or parsed.command == "miniature make"


def test_every_command_that_parses_does_something() -> None:
    """A command without an action would end in a KeyError; an action without a command cannot be reached."""
    named = {each.get_default("command") for each in ALL.values()} - {None}
    assert named == set(ACTIONS)


def test_choices_and_defaults_are_those_of_the_rooms() -> None:
    """A list that is written twice lacks, one day, what was added to the other."""
    for command, flag, known in (
        ("prm-eval score", "--splitter", SPLITTERS),
        ("prm-eval score", "--dtype", DTYPES),
        ("prm-eval score", "--engine", ENGINES),
        ("prm-eval score", "--runner", RUNNERS),
        ("prm-eval pool import", "--splitter", SPLITTERS),
        ("prm-eval pool import", "--format", ("auto", *FORMATS)),
    ):
        assert list(option(command, flag).choices) == list(known), (command, flag)
    parsed = settled(build_parser().parse_args(["evaluate", "POOL"]))
    assert (parsed.draws, parsed.seed) == (DEFAULT_DRAWS, DEFAULT_SEED)
    assert f"{DEFAULT_SEED}" in ALL["prm-eval evaluate"].format_help()
    tokens = option("prm-eval score", "--batch-tokens").help
    assert f"{BATCH_TOKENS} on a GPU" in tokens and f"{CPU_BATCH_TOKENS} on the CPU" in tokens


def test_what_is_loaded_later_is_there() -> None:
    """A constant that was moved or renamed is found by the parser only when somebody asks for help."""
    later = [
        each
        for parser in ALL.values()
        for action in parser._actions
        for each in (action.default, action.choices)
        if isinstance(each, Later)
    ]
    assert len(later) >= 10
    for each in later:
        assert each.value is not None, each.home


def test_every_option_of_a_reward_model_is_an_option_of_score() -> None:
    """One that the command line lacks can be given inside lm_eval only."""
    parsed = vars(build_parser().parse_args(["score", "POOL", "--reward-model", "m"]))
    assert set(OPTIONS) <= set(parsed)
    assert all(parsed[each] is None for each in OPTIONS), "a default of the parser would hide the model's"


@pytest.fixture
def asked(monkeypatch) -> list[tuple]:
    """What was asked of the job that chooses the runner, which then stops the command."""
    from prm_eval.errors import PrmEvalError
    from prm_eval.evaluation import jobs

    seen: list[tuple] = []

    def chosen(*arguments):
        seen.append(arguments)
        raise PrmEvalError("stopped here")

    monkeypatch.setattr(jobs, "chosen_runner", chosen)
    return seen


@pytest.mark.parametrize(
    ("flags", "runner", "engine", "says"),
    [
        ([], "local", None, False),
        (["--engine", "local"], "local", "local", False),
        (["--engine", "vllm"], "local", "vllm", False),
        (["--runner", "ray"], "ray", None, False),
        (["--runner", "ray", "--engine", "vllm"], "ray", "vllm", False),
        (["--engine", "ray"], "ray", None, True),
    ],
)
def test_engine_is_what_computes_and_runner_who_walks_the_pool(
    pool, asked, capsys, flags, runner, engine, says
) -> None:
    """One flag meant both: vLLM's workers could not be asked for. The old spelling works for one version, and says so."""
    assert main(["score", str(pool.path), "--reward-model", "arithmetic", "-o", "r", *flags]) == 1
    ((name, model, given, workers),) = asked
    assert (name, model, given["engine"], workers) == (runner, "arithmetic", engine, None)
    assert ("--engine ray is called --runner ray now" in capsys.readouterr().err) == says


def test_old_spellings_are_in_no_help_and_in_no_message(capsys) -> None:
    """Shown, they would be learnt by people who never knew them."""
    assert "--policy" not in ALL["prm-eval explain"].format_help()
    assert "ray" not in ALL["prm-eval score"].format_help().partition("--engine {")[2].partition("\n")[0]
    with pytest.raises(SystemExit):
        main(["score", "POOL", "--reward-model", "m", "--engine", "tpu"])
    assert "choose from" in (error := capsys.readouterr().err)
    assert "ray" not in error.partition("choose from")[2]


def test_options_of_grading_are_called_options(capsys) -> None:
    """ "policy" is the language model; explain --policy still works for one version, and says what it is called."""
    asked = ["explain", "0.5", "50\\%"]
    assert main(asked) == 1
    assert main([*asked, "--options", "percent_as_fraction"]) == 0
    assert capsys.readouterr().err == ""
    assert main([*asked, "--policy", "percent_as_fraction"]) == 0
    assert "--policy is called --options now" in capsys.readouterr().err
