"""Candidates are kept as they come: cut off anywhere, the same command goes on, and nothing mixes that must not."""

from __future__ import annotations

import errno
import json
import logging
import os
from collections import Counter
from pathlib import Path

import pytest
from lm_eval.api.model import LM

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.harness import kept as kept_module
from prm_eval.harness.kept import KeptCandidates
from prm_eval.pools.pool import Pool
from prm_eval.store.journal import Journal, read_journal
from tests.conftest import PLAIN, write_jsonl
from tests.harness.test_harness import dumps, here, run  # noqa: F401


class Cut(Exception):
    """Stands for whatever ends a run."""


class Policy(LM):
    """A language model that hands each reply to the hook, as lm_eval's do, and is cut off after so many."""

    def __init__(self, cut_after: int | None = None, *, name: str = "policy", tag: str = "") -> None:
        super().__init__()
        self.pretrained, self.cut_after, self.tag = name, cut_after, tag
        self.asked: list[str] = []

    def generate_until(self, requests):
        assert requests, "lm_eval's API backends fail on an empty list"
        replies = []
        for request in requests:
            if self.cut_after is not None and len(self.asked) >= self.cut_after:
                raise Cut
            context, arguments = request.args
            text = f"{self.tag}{len(self.asked)}\n\\boxed{{{len(self.asked) % 7}}}"
            self.asked.append(str(context))
            self.cache_hook.add_partial("generate_until", (context, arguments), text)
            replies.append(text)
        return replies

    def loglikelihood(self, requests):
        raise NotImplementedError

    def loglikelihood_rolling(self, requests):
        raise NotImplementedError


def problems(folder: Path, rows=PLAIN) -> str:
    return str(write_jsonl(folder / "p.jsonl", [{k: v for k, v in row.items() if k != "samples"} for row in rows]))


def metadata(folder: Path, **more: object) -> dict[str, object]:
    return {"problems": problems(folder), "n_samples": 8, **more}


def cut_off(folder: Path, after: int, *, tag: str = "", more: dict[str, object] | None = None, **options) -> Policy:
    model = Policy(after, tag=tag)
    with pytest.raises(Cut):
        run(model=model, metadata=metadata(folder, **(more or {})), **options)
    return model


def journals(folder: Path) -> list[Path]:
    return sorted(folder.glob("prm_eval_runs/problems_bon/journal/*.jsonl"))


def kept_texts(folder: Path) -> list[str]:
    return [fields["t"] for path in journals(folder) for _, fields in read_journal(path) if "t" in fields]


@pytest.mark.parametrize("cuts", [(5,), (1, 1, 1), (8, 3), (15,), (0, 7)])
def test_the_same_command_goes_on(here, cuts) -> None:  # noqa: F811
    """Cut off any number of times: what came back is never asked for again, and each problem gets N in the end."""
    kept = 0
    for turn, after in enumerate(cuts):
        cut_off(here, after, tag=f"{turn}-")
        kept += after
        assert len(kept_texts(here)) == kept
    expected = Counter(kept_texts(here))
    model = Policy(tag="last-")
    run(model=model, metadata=metadata(here))
    assert len(model.asked) == 16 - kept
    (pool,) = dumps(here)
    assert [len(candidates) for _, candidates in pool] == [8, 8]
    texts = Counter(candidate.text for _, candidates in pool for candidate in candidates)
    assert texts & expected == expected  # all that was kept is in the pool, once
    assert journals(here) == []


def test_a_run_that_was_never_cut_off_is_what_it_was(here) -> None:  # noqa: F811
    """No journal is left, no request differs, the order of the slots is lm_eval's."""
    run(model=Policy(), metadata=metadata(here))
    (pool,) = dumps(here)
    assert [candidate.text.split("\n")[0] for _, each in pool for candidate in each] == [str(k) for k in range(16)]
    assert journals(here) == []


def test_a_failure_after_generation_asks_for_nothing_and_makes_the_same_pool(here, monkeypatch) -> None:  # noqa: F811
    """Killed while it scored: the same command asks the policy nothing, and finds the pool with its rewards again."""
    cut_off(here, 11, tag="first-")
    with monkeypatch.context() as patch:
        patch.setattr("prm_eval.rewards.models.rules.ArithmeticPRM.score", lambda self, items: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(model=Policy(), metadata=metadata(here, prm_model="arithmetic"))
    before = [pool.info.content_hash for pool in dumps(here)]
    assert len(journals(here)) == 1
    model = Policy()
    found = run(model=model, metadata=metadata(here, prm_model="arithmetic"))
    assert model.asked == []
    assert [pool.info.content_hash for pool in dumps(here)] == before
    assert "acc@8,prm" in found["results"]["problems_bon"]
    assert journals(here) == []


def test_a_pool_that_is_gone_is_made_again_from_the_journal(here, monkeypatch) -> None:  # noqa: F811
    """The journal names the pool; where that was removed, its own lines are still there."""
    import shutil

    with monkeypatch.context() as patch:
        patch.setattr("prm_eval.rewards.models.rules.ArithmeticPRM.score", lambda self, items: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(model=Policy(), metadata=metadata(here, prm_model="arithmetic"))
    shutil.rmtree(dumps(here)[0].path)
    model = Policy()
    run(model=model, metadata=metadata(here))
    assert model.asked == []
    assert dumps(here)[0].info.n_candidates == 16


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"gen_kwargs": {"temperature": 0.5}}, "temperature 1.0, not 0.5"),
        ({"model": Policy(name="another")}, 'pretrained "policy", not "another"'),
    ],
)
def test_other_candidates_are_set_aside_and_said(here, caplog, changed, said) -> None:  # noqa: F811
    """Another policy's, or another temperature's candidates never enter a pool; they stay, and the log says why."""
    cut_off(here, 5, tag="old-")
    model = changed.pop("model", None) or Policy(tag="new-")
    with caplog.at_level(logging.WARNING):
        run(model=model, metadata=metadata(here), **changed)
    assert len(model.asked) == 16
    assert any(
        "5 candidates of another policy or other settings" in r.message and said in r.message for r in caplog.records
    )
    assert not any(c.text.startswith("old-") for pool in dumps(here) for _, cs in pool for c in cs)
    model = Policy(tag="old again-")
    run(model=model, metadata=metadata(here))
    assert len(model.asked) == 11  # the first command goes on where it was


def test_another_prompt_takes_no_candidates(here) -> None:  # noqa: F811
    """A problem whose statement, or whose prompt, was changed under its id gets new candidates."""
    cut_off(here, 8)
    rows = [{**PLAIN[0], "problem": "What is 1+2?"}, PLAIN[1]]
    model = Policy()
    run(model=model, metadata={"problems": problems(here, rows), "n_samples": 8})
    assert len(model.asked) == 16


def test_limit_and_another_n_use_what_is_there(here) -> None:  # noqa: F811
    """--limit and n_samples decide how much is wanted, not what a candidate is; what is left over stays for later."""
    cut_off(here, 10)
    model = Policy()
    run(model=model, metadata=metadata(here, n_samples=4), limit=1)
    assert model.asked == []
    assert len(kept_texts(here)) == 10  # not all of them are in that pool
    model = Policy()
    run(model=model, metadata=metadata(here))
    assert len(model.asked) == 6
    assert journals(here) == []


def test_two_problems_with_one_prompt_share_nothing(here) -> None:  # noqa: F811
    """Equal statements under two ids: every candidate belongs to one of them, whatever was cut off."""
    rows = [{"id": name, "problem": "What is 1+1?", "answer": "2"} for name in "ab"]
    path = problems(here, rows)
    for after in (5, 6):
        with pytest.raises(Cut):
            run(model=Policy(after, tag=f"{after}-"), metadata={"problems": path, "n_samples": 8})
    run(model=Policy(tag="z-"), metadata={"problems": path, "n_samples": 8})
    (pool,) = dumps(here)
    texts = [candidate.text for _, candidates in pool for candidate in candidates]
    assert len(set(texts)) == len(texts) == 16


def test_greedy_runs_go_on(here) -> None:  # noqa: F811
    """n_samples=1 and greedy decoding: long benchmarks of single answers are cut off too."""
    options = {"gen_kwargs": {"do_sample": False, "temperature": 0}}
    cut_off(here, 1, more={"n_samples": 1}, **options)
    model = Policy()
    run(model=model, metadata=metadata(here, n_samples=1), **options)
    assert len(model.asked) == 1


def test_use_cache_keeps_working(here) -> None:  # noqa: F811
    """lm_eval's cache wraps the model and has a hook of its own: both hear of every reply."""
    from sqlitedict import SqliteDict

    options = {"use_cache": str(here / "cache")}
    cut_off(here, 5, **options)
    assert len(kept_texts(here)) == 5
    assert len(SqliteDict(str(here / "cache_rank0.db"))) == 1  # one prompt; lm_eval keeps the last reply of each
    model = Policy()
    run(model=model, metadata=metadata(here), **options)
    assert len(model.asked) == 11


def test_several_ranks_and_another_number_of_them(here, monkeypatch) -> None:  # noqa: F811
    """Two ranks are cut off; one process takes up what both left, or three do; every candidate is used once."""
    from prm_eval.harness.task import BestOfNTask

    rows = [{"id": str(k), "problem": f"What is {k}+1?", "answer": str(k + 1)} for k in range(6)]
    given = {"problems": problems(here, rows), "n_samples": 4}

    def ranks(count: int, replies: int | None, tag: str) -> list[BestOfNTask]:
        """Build every rank's requests, then let each answer so many of its own."""
        tasks = []
        for rank in range(count):
            task = BestOfNTask({"task": "problems_bon", "output_type": "generate_until", "test_split": "test",
                                "doc_to_text": "{{problem}}", "doc_to_target": "answer", "num_fewshot": 0,
                                "generation_kwargs": {"do_sample": True, "until": []}, "metadata": dict(given)})  # fmt: skip
            lm = models[rank] = Policy(tag=f"{tag}{rank}-")
            assert lm is not None  # read from this frame, as from lm_eval's
            task.build_all_requests(rank=rank, world_size=count)
            tasks.append(task)
        for rank, task in enumerate(tasks):
            owed = [each for each in task.instances for _ in range(each.repeats)][:replies]
            if owed:
                for instance, text in zip(owed, models[rank].generate_until(owed), strict=True):
                    instance.resps.append(text)
        return tasks

    models: dict[int, Policy] = {}
    for task in ranks(2, 5, "a"):
        task.journal.close()
    assert len(journals(here)) == 2
    for task in ranks(3, 2, "b"):
        task.journal.close()
    assert len(kept_texts(here)) == 16
    tasks = ranks(3, None, "c")
    assert sum(len(model.asked) for model in models.values()) == 24 - 16
    tasks[0].apply_filters()
    assert len(kept_texts(here)) == 24  # the others are not done
    for task in tasks[1:]:
        task.apply_filters()
    assert journals(here) == []
    texts = [c.text for pool in dumps(here) for _, candidates in pool for c in candidates]
    assert len(set(texts)) == len(texts) == 24


def test_a_damaged_journal_stops_before_generation(here) -> None:  # noqa: F811
    """A line in the middle that is not what was written: named with its place; a torn last line is no matter."""
    cut_off(here, 5)
    (path,) = journals(here)
    whole = path.read_bytes()
    path.write_bytes(whole + b'0123 {"half')
    cut_off(here, 2)
    assert len(kept_texts(here)) == 7
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], lines[3].replace(b"boxed", b"bored"), *lines[4:]]))
    model = Policy()
    with pytest.raises(DataError, match=r"rank0.jsonl, row 4: found a damaged line"):
        run(model=model, metadata=metadata(here))
    assert model.asked == []


def full_disk(monkeypatch, blocked: tuple[str, ...], after: int = 0) -> list[int]:
    """Let every write to a file below these folders fail from the ``after``-th on; return the list to end it with."""
    real, seen, over = os.write, [], []

    def write(number, data):
        path = str(Path(f"/proc/self/fd/{number}").readlink())
        if path.endswith(".jsonl") and path.startswith(blocked) and not over:
            seen.append(path)
            if len(seen) > after:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(number, data)

    monkeypatch.setattr(os, "write", write)
    return over


def test_a_full_disk_moves_the_journal(here, tmp_path_factory, monkeypatch, caplog) -> None:  # noqa: F811
    """ENOSPC while candidates come: they go on elsewhere, the log says where and how to bring them back."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    over = full_disk(monkeypatch, (str(here),), after=5)
    with caplog.at_level(logging.CRITICAL):
        cut_off(here, 9)
    (spilled,) = elsewhere.glob("prm_eval-*/*.jsonl")
    said = next(record.message for record in caplog.records if "nothing is lost" in record.message)
    assert f"mv {spilled} " in said
    assert len(kept_texts(here)) == 3
    over.append(1)
    spilled.rename(journals(here)[0].parent / spilled.name)
    assert len(kept_texts(here)) == 9
    model = Policy(tag="x")
    run(model=model, metadata=metadata(here))
    assert len(model.asked) == 7
    assert journals(here) == []


def test_where_no_disk_has_room_candidates_wait_in_memory(here, tmp_path_factory, monkeypatch, caplog) -> None:  # noqa: F811
    """Nothing takes them: the run goes on, says so, and writes everything once there is room again."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    monkeypatch.setattr(kept_module, "MEMORY", elsewhere)
    over = full_disk(monkeypatch, (str(here), str(elsewhere)), after=4)
    kept = KeptCandidates(here, {"policy": "p"}).open()
    with caplog.at_level(logging.CRITICAL):
        for k in range(5):
            kept.add(("a", "k"), str(k))
    assert kept.writing_to is None
    assert any("in memory only" in record.message for record in caplog.records)
    over.append(1)
    kept.add(("a", "k"), "5")
    kept.close()
    assert KeptCandidates(here, {"policy": "p"}).texts == {("a", "k"): [str(k) for k in range(6)]}


def test_a_folder_that_cannot_be_written_does_not_stop_generation(here, tmp_path_factory, monkeypatch) -> None:  # noqa: F811
    """A file lies where the journal's folder should be: candidates are kept elsewhere from the start."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    (here / "prm_eval_runs" / "problems_bon").mkdir(parents=True)
    (here / "prm_eval_runs" / "problems_bon" / "journal").write_text("")
    cut_off(here, 3)
    assert len(list(elsewhere.glob("prm_eval-*/*.jsonl"))) == 1


def test_another_process_at_the_same_journal_is_refused(here, monkeypatch) -> None:  # noqa: F811
    """The same command twice at once would give each problem up to 2N candidates."""

    def busy(self, path):
        raise PrmEvalError(f"another run is writing {path}")

    monkeypatch.setattr(KeptCandidates, "_new", busy)
    model = Policy()
    with pytest.raises(PrmEvalError, match="another run is writing"):
        run(model=model, metadata=metadata(here))
    assert model.asked == []


def test_an_interrupted_notebook_goes_on_in_the_same_process(here) -> None:  # noqa: F811
    """The traceback keeps the first run's journal open; the second run of the cell must not be refused for it."""
    try:
        run(model=Policy(5), metadata=metadata(here))
    except Cut as error:
        held = error
    model = Policy()
    run(model=model, metadata=metadata(here))
    assert len(model.asked) == 11
    assert held is not None


def test_power_cuts_are_waited_for_before_the_journal_goes(here, monkeypatch) -> None:  # noqa: F811
    """The pool's files and folder are on the disk before anything of the journal is removed."""
    order: list[str] = []
    monkeypatch.setattr("prm_eval.harness.task_journal.sync_folder", lambda folder: order.append("sync"))
    real = kept_module.remove_unless_open
    monkeypatch.setattr(kept_module, "remove_unless_open", lambda path: order.append("remove") or real(path))
    run(model=Policy(), metadata=metadata(here))
    assert order == ["sync", "remove"]


def test_journals_hold_no_secret(here) -> None:  # noqa: F811
    """Model arguments are the key of a journal; a header with a token in it must not be written beside them."""
    cut_off(here, 2, more={"auth_token": "s3cret", "header": {"Authorization": "s3cret"}, "quantization": "awq"})
    text = journals(here)[0].read_text()
    assert "s3cret" not in text
    assert "awq" in text


def test_a_checkpoint_that_was_written_over_is_another_policy(models) -> None:
    """Training saves step after step under one name: candidates of an older step must not be taken for the newer one's."""
    import torch
    from lm_eval.models.huggingface import HFLM

    from prm_eval.harness.policy_identity import policy_identity

    model = HFLM(pretrained=str(models["policy"]), device="cpu", dtype="float32")
    first = policy_identity(model, {"dtype": "float32", "batch_size": 4}, {"temperature": 1.0})
    assert first == policy_identity(model, {"dtype": "float32", "batch_size": 9}, {"temperature": 1.0})
    json.dumps(first)
    with torch.no_grad():
        next(model.model.parameters()).mul_(1.001)
    assert first != policy_identity(model, {"dtype": "float32"}, {"temperature": 1.0})


def test_a_run_that_goes_on_samples_with_another_seed(here, models) -> None:  # noqa: F811
    """lm_eval sets seed 1234 at each start: the same texts would come again, as duplicates that nobody sees."""
    from lm_eval.models.huggingface import HFLM

    class Killed(HFLM):
        def generate_until(self, requests, **options):
            return super().generate_until(requests[:8], **options) and 1 / 0

    texts: list[list[str]] = []
    arguments = {"pretrained": str(models["policy"]), "device": "cpu", "dtype": "float32", "batch_size": 8}
    given = metadata(here, n_samples=8)
    options = {"gen_kwargs": {"max_gen_toks": 12}, "metadata": given}
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            run(model=Killed(**arguments), **options, limit=1)
        texts.append(kept_texts(here))
        # as if nothing had been kept: eight more of the same problem
        given["n_samples"] = 16
    assert len(texts[1]) == 16
    assert not set(texts[1][:8]) & set(texts[1][8:])
    seeds = [fields["seed"] for _, fields in read_journal(journals(here)[0]) if "seed" in fields]
    assert seeds[0] == 1234
    assert len(set(seeds)) == 2


def test_pool_and_results_record_how_candidates_were_made(here) -> None:  # noqa: F811
    """Prompt, system text, seed and sampling as used; a replay records the pool's, not the task file's."""
    found = run(
        model=Policy(), metadata=metadata(here), gen_kwargs={"temperature": 0.3}, system_instruction="Be brief."
    )
    (pool,) = dumps(here)
    made = pool.info.source["lm_eval"]
    assert (made["system"], made["chat_template"], made["task"]) == ("Be brief.", None, "problems_bon")
    assert made["prompt"].startswith("{{problem}}")
    assert "What is 1+1?" in made["first_prompt"]["text"]
    assert "Be brief." in made["first_prompt"]["text"]
    assert len(made["prompts_sha256"]) == 64
    replayed = run(metadata={"replay": str(pool.path)})
    for each in (found, replayed):
        config = each["configs"]["problems_bon"]
        assert config["generation_kwargs"]["temperature"] == 0.3
        assert config["metadata"]["prm_eval"]["pool"]["sampling"]["temperature"] == 0.3
        assert config["metadata"]["prm_eval"]["pool"]["source"]["lm_eval"] == made
    assert Pool(pool.path).verify() == []


def test_a_journal_is_an_ordinary_one(tmp_path) -> None:
    """Any tool that reads our journals reads these: one format in the house."""
    kept = KeptCandidates(tmp_path, {"policy": "p"}).open()
    kept.add(("a", "k"), "half a pair \ud800 \u2028")
    kept.close()
    journal = Journal(kept.path, {}, busy="")
    assert journal.header["format"] == "prm_eval.candidates/1"
    assert [fields["t"] for _, fields in journal.records()] == ["half a pair \ud800 \u2028"]
