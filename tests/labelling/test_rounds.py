"""Rounds with the miniature's oracle as labeller and a toy as trainer: figures, kills at every part, people."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from prm_eval.cli.commands import main
from prm_eval.cli.labellers import _oracle_says
from prm_eval.errors import DataError, PrmEvalError
from prm_eval.labelling import round_labellers
from prm_eval.labelling.queue_rules import Ask
from prm_eval.labelling.queues import read_queue
from prm_eval.labelling.rounds import JOURNAL, Named, Plan, Waiting, as_table, own_trainer, run_rounds
from prm_eval.pools.pool import Pool
from prm_eval.stepsets.label_file import LabelFile
from prm_eval.stepsets.step_set import StepSet
from tests.conftest import ROOT
from tests.labelling.conftest import SMALL, make_pool, write_rewards

pytest.importorskip("torch")

ORACLE = round_labellers.oracle(_oracle_says, "the oracle", "every_step", "line")
TOY = own_trainer("tests.labelling.trainers:toy")


def plan(**more) -> Plan:
    given = {"ask": Ask("convincing", 1), "labeller": ORACLE, "trainer": TOY, "rounds": 3}
    return Plan(**{**given, **more})


@pytest.fixture(scope="module")
def whole(mini, tmp_path_factory):
    """Three rounds without an interruption, measured on another pool."""
    folder = tmp_path_factory.mktemp("rounds")
    test = make_pool(folder / "test", SMALL)
    return run_rounds(mini, folder / "rounds", plan(test=test)), folder / "rounds", test


def test_three_rounds_choose_label_train_and_choose_again(whole, mini) -> None:
    """The first is uniform, the next by the model before; no candidate twice; each training gets the labels of all
    rounds; every round's figures are there, on problems that nobody learnt from."""
    rounds, folder, _ = whole
    assert [each.rule for each in rounds] == ["uniform", "convincing", "convincing"]
    assert [each.total for each in rounds] == [6, 11, sum(each.labelled for each in rounds)]
    queues = [set(read_queue(folder / f"round-{k}" / "queue.jsonl", mini)) for k in (1, 2, 3)]
    assert not queues[0] & queues[1] and not (queues[0] | queues[1]) & queues[2]
    sets = [len(StepSet(folder / f"round-{k}" / "set").require_sound().solutions) for k in (1, 2, 3)]
    assert sets == [each.total for each in rounds]
    assert all(set(each.test) == {"1", "2", "4", "5"} for each in rounds)
    assert (folder / "round-2" / "rewards").is_dir() and not (folder / "round-3" / "rewards").exists()
    lines = [json.loads(line.split(" ", 1)[1]) for line in (folder / JOURNAL).read_text().splitlines()]
    assert [line["number"] for line in lines[1:]] == [1, 2, 3]
    table = as_table(rounds)
    assert "bon@5" in table[0] and "wrong answers)" in table[2] and len(table) == 4


def test_the_convincing_ones_of_round_2_are_what_the_first_model_likes(whole, mini) -> None:
    """If the queue read the model of another round, or the start's, learning would go nowhere without anybody seeing
    it."""
    _, folder, _ = whole
    about = json.loads((folder / "round-2" / "queue.jsonl.about.json").read_text())
    assert about["rewards"][0]["folder"] == str(folder / "round-1" / "rewards")
    assert about["ask"]["rule"] == "convincing"


class Killed(Exception):
    """A kill."""


@pytest.mark.parametrize("part", ["label", "train"])
def test_a_round_that_was_cut_off_goes_on_at_the_part_that_is_missing(whole, mini, tmp_path, part) -> None:
    """After a kill while labelling or training, the finished rounds and parts stay as they are, and the end is that of
    a run without a kill: the same queues, labels and figures."""
    calls = {"label": 0, "train": 0}

    def failing(name, do, *, dies):
        def wrapped(*arguments):
            calls[name] += 1
            if dies and name == part and calls[name] == 2:
                raise Killed
            return do(*arguments)

        return wrapped

    rounds, _, test = whole
    for dies in (True, False):
        calls = {"label": 0, "train": 0}
        asked = plan(
            test=test,
            labeller=Named(ORACLE.about, failing("label", ORACLE.do, dies=dies)),
            trainer=Named(TOY.about, failing("train", TOY.do, dies=dies)),
        )
        if dies:
            with pytest.raises(Killed):
                run_rounds(mini, tmp_path / "r", asked)
        else:
            again = run_rounds(mini, tmp_path / "r", asked)
    assert calls == ({"label": 2, "train": 2} if part == "label" else {"label": 1, "train": 2})
    assert [{**each.__dict__, "model": ""} for each in again] == [{**each.__dict__, "model": ""} for each in rounds]


def test_more_rounds_follow_and_another_plan_does_not(mini, whole, tmp_path) -> None:
    """Rounds by two rules or labellers in one folder have no curve; more rounds of the same plan go on."""
    folder = tmp_path / "r"
    assert len(run_rounds(mini, folder, plan(rounds=1))) == 1
    assert len(run_rounds(mini, folder, plan(rounds=2))) == 2
    assert len(run_rounds(mini, folder, plan(rounds=1))) == 1
    with pytest.raises(PrmEvalError, match=r"another plan.*uncertain"):
        run_rounds(mini, folder, plan(ask=Ask("uncertain", 1)))
    with pytest.raises(PrmEvalError, match="another plan"):
        run_rounds(mini, folder, plan(labeller=round_labellers.people()))


def test_rounds_wait_for_people_and_check_what_they_made(mini, tmp_path) -> None:
    """The queue is there for the page; labels of other candidates than the queue's are not taken for its labels."""
    folder = tmp_path / "r"
    asked = plan(labeller=round_labellers.people(), rounds=1)
    for _ in range(2):
        with pytest.raises(Waiting, match=r"round-1/queue\.jsonl"):
            run_rounds(mini, folder, asked)
    ORACLE.do(mini, None, folder / "round-1" / "labels")
    with pytest.raises(DataError, match="not chosen"):
        run_rounds(mini, folder, asked)
    for each in (folder / "round-1" / "labels").iterdir():
        each.unlink()
    ORACLE.do(mini, set(read_queue(folder / "round-1" / "queue.jsonl", mini)), folder / "round-1" / "labels")
    assert run_rounds(mini, folder, asked)[0].labelled == 6


def test_two_rounds_of_people_on_the_page(small, tmp_path, capsys) -> None:
    """By the commands that the message names. If the second round's labels could not be put beside the first one's, or
    one campaign could not serve both, everything that people did would be in vain."""
    from prm_eval.labelling.page.campaign import Campaign, Rules, begin, queue_pool
    from prm_eval.labelling.page.ledger import Ledger
    from tests.labelling.page.campaigns import label

    folder, asked = tmp_path / "r", plan(labeller=round_labellers.people(), rounds=2)
    begin(small.path / "labels" / "people", small, Rules("line", second_opinion=0)).close()
    for number, who in ((1, "ann"), (2, "bob")):
        queue, labels = folder / f"round-{number}" / "queue.jsonl", folder / f"round-{number}" / "labels"
        with pytest.raises(Waiting, match="label export") as caught:
            run_rounds(small, folder, asked)
        assert f"--queue {queue} --to labels -o {labels}" in str(caught.value)
        campaign = Campaign(small.path / "labels" / "people")
        campaign.invite(who, "labeller")
        queue_pool(campaign, queue)
        ledger = Ledger(campaign)
        while label(ledger, who, [-1]) is not None:
            pass
        campaign.close()
        words = ["label", "export", str(campaign.folder), "--to", "labels"]
        assert main([*words, "-o", str(tmp_path / f"all-{number}")]) == 0
        assert LabelFile(tmp_path / f"all-{number}").info.n_labelled == 2 * number
        assert main([*words, "-o", str(labels), "--queue", str(queue)]) == 0
    capsys.readouterr()
    rounds = run_rounds(small, folder, asked)
    assert [each.labelled for each in rounds] == [2, 2] and rounds[-1].total == 4
    info = LabelFile(folder / "round-2" / "all").info
    assert info.by == "campaign people: ann; campaign people: ann, bob"


def test_problems_that_are_learnt_from_are_not_measured_on(mini, tmp_path) -> None:
    """A gain on the training problems is no gain; white space does not hide that they are the same."""
    statement = next(iter(mini.problems.values())).statement
    test = make_pool(tmp_path / "t", {"x": (f" {statement}\n", "1", ["\\boxed{1}"])})
    with pytest.raises(DataError, match="do not learn from"):
        run_rounds(mini, tmp_path / "r", plan(test=test))


def test_policies_and_judges_label_rounds_too(small, tmp_path, monkeypatch) -> None:
    """Each labels the queue of its round alone, and the set that is trained on says who it was."""
    from prm_eval.labelling.completers import Frame, Sampling
    from prm_eval.labelling.labellers import part_of
    from tests.labelling.test_labellers import judged
    from tests.labelling.test_rollouts import Scripted

    def asked(pool, wanted, folder, name, options, bars):
        part = part_of(pool, wanted, folder / "asked")
        rewards = write_rewards(part, folder / "judged", lambda each: tuple(1.0 for _ in each.text.split("\n")))
        judged(rewards.folder, part, lambda each: [-1])
        return part, rewards

    monkeypatch.setattr(round_labellers, "judged", asked)
    policy = Scripted(lambda prompt: 4)
    how = Sampling(rollouts=8, temperature=1.0)
    labellers = {
        "rollouts": round_labellers.rollouts(policy, Frame(), how, hard=0.0),
        "judge": round_labellers.judge("processbench-judge:m", {"base_url": "http://x/v1", "votes": 1}),
    }
    for source, labeller in labellers.items():
        folder = tmp_path / source
        [found] = run_rounds(small, folder, plan(ask=Ask("uniform", 1), labeller=labeller, rounds=1))
        assert found.labelled == found.chosen == 2
        assert StepSet(folder / "round-1" / "set").info.label_source == source
        assert "base_url" not in labeller.about
    assert 0 < sum(policy.asked.values()) <= 3


def test_nothing_left_and_a_start(tmp_path) -> None:
    """With rewards to start from, the first round is convincing already; when all is labelled it says so, with the
    rounds that are done."""
    pool = make_pool(tmp_path / "p", {"b": SMALL["b"]})
    start = write_rewards(pool, tmp_path / "s", lambda each: tuple(0.5 for _ in each.text.split("\n")), name="start")
    known = round_labellers.model(start)
    asked = plan(ask=Ask("convincing", 3), labeller=known, start=start)
    with pytest.raises(PrmEvalError, match="nothing is left to label; 2 rounds are done"):
        run_rounds(pool, tmp_path / "r", asked)
    done = run_rounds(pool, tmp_path / "r", plan(ask=Ask("convincing", 3), labeller=known, start=start, rounds=2))
    assert [(each.rule, each.labelled, each.wrong_answers) for each in done] == [
        ("convincing", 3, 2),
        ("convincing", 1, 0),
    ]


def test_the_command_goes_on_after_a_real_kill(mini, tmp_path, capsys) -> None:
    """kill -9 in the second round's training, then the same command: what is on the disk must be enough, without the
    process that wrote it."""
    folder = tmp_path / "r"
    words = ["label", "rounds", str(mini.path), "--labeller", "oracle", "--by", "convincing", "--rounds", "2"]
    words += ["--trainer", "tests.labelling.trainers:slow_toy", "-o", str(folder)]
    environment = {**os.environ, "TOY_SLEEPS": "1", "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen([sys.executable, "-m", "prm_eval.cli", *words], env=environment, cwd=ROOT)
    try:
        deadline = time.monotonic() + 120
        while not (folder / "round-2" / "sleeping").exists():
            assert child.poll() is None and time.monotonic() < deadline, "the second round did not come"
            time.sleep(0.05)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    before = (folder / "round-2" / "queue.jsonl").read_bytes()
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "uniform" in out and "convincing" in out and str(folder) in out
    assert (folder / "round-2" / "queue.jsonl").read_bytes() == before
    assert (folder / "round-1" / "trained.log").read_text() == "6\n"
    assert LabelFile(folder / "round-2" / "all").info.n_labelled == 11
    assert Pool(folder / "round-2" / "set").info.n_candidates == 11
