"""Which commands take a step set as POOL, as docs/label-sources.md says."""

from __future__ import annotations

import pytest

from prm_eval.cli.commands import main
from tests.training import small


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("oracle", "SET"), "problem id 's0'; expected miniature/SPLIT/SEED/INDEX"),
        (("rollouts", "SET", "--policy", "BASE", "--rollouts", "1"), "found no gold answer for problem 's0'"),
        (("queue", "SET", "--by", "convincing", "--rewards", "REWARDS"), "has no grades named 'own'"),
        (("filter", "SET/labels/arithmetic", "-o", "OUT"), "no grades"),
        (("queue", "SET", "--by", "uncertain", "--rewards", "REWARDS"), None),
        (("queue", "SET", "--by", "uniform"), None),
        (("convert", "SET/labels/arithmetic", "--to", "stepset", "-o", "OUT"), None),
    ],
)
def test_what_takes_a_step_set(tmp_path, capsys, words, said) -> None:
    """Otherwise the page promises what a command refuses, or refuses without saying why."""
    path, rewards = tmp_path / "set", tmp_path / "set" / "rewards" / "arithmetic"
    small.step_set(path, 6)
    assert main(["score", str(path), "--reward-model", "arithmetic", "-o", str(rewards)]) == 0
    assert main(["label", "model", str(path), str(rewards)]) == 0
    places = {"SET": str(path), "REWARDS": str(rewards), "OUT": str(tmp_path / "out"), "BASE": "nobody"}
    if "BASE" in words:
        places["BASE"] = str(small.base(tmp_path / "base"))
    given = [places.get(each, each.replace("SET/", f"{path}/")) for each in words]
    capsys.readouterr()
    assert main(["label", *given]) == (0 if said is None else 1)
    assert said is None or said in capsys.readouterr().err
