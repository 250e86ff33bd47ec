"""The commands about a results folder: ``submit-form``, ``check``, ``verify``, ``leaderboard``."""

from __future__ import annotations

import argparse
import json
import math
import secrets
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prm_eval.cli.parser import VERIFY_OPTIONS
from prm_eval.cli.printing import say as print
from prm_eval.cli.types import counted
from prm_eval.errors import DataError, PrmEvalError
from prm_eval.progress import RENDERING, SCORING_AGAIN, Bar
from prm_eval.store.rules import harmless

if TYPE_CHECKING:
    from prm_eval.rewards.protocol import RewardModel
    from prm_eval.submissions import Fault, RegisteredPool, Suspicion
    from prm_eval.submissions.formats import VerificationFile

# the dtypes whose rounding is measured against float32 as well
HALVES = ("bfloat16", "float16")


def _check(options: argparse.Namespace) -> int:
    from prm_eval.submissions import Options, check_paths
    from prm_eval.submissions.doubted import doubts_at

    odd: dict[Path, dict[str, list[Suspicion]]] = {}
    found = check_paths(
        options.paths,
        Options(new=options.new, tokenizer=options.model),
        lambda path, checker: odd.update({path: doubts_at(path, checker)}),
    )
    if options.json:
        print(json.dumps([_as_json(path, faults, odd.get(path, {})) for path, faults in found.items()], indent=2))
        return 1 if any(found.values()) else 0
    for path, faults in found.items():
        for fault in faults:
            print(fault)
        for folder, suspicions in odd.get(path, {}).items():
            for each in suspicions:
                print(f"{folder}: [suspicious: {each.name}] {each.text}")
        name = ascii(str(path))[1:-1]  # a stranger's name acts on no terminal
        print(f"{name}: {counted(len(faults), 'fault')}" if faults else f"{name}: in order")
    return 1 if any(found.values()) else 0


def _as_json(path: Path, faults: list[Fault], odd: dict[str, list[Suspicion]]) -> dict[str, Any]:
    return {
        "path": str(path),
        "faults": [asdict(each) for each in faults],
        "suspicions": [{"folder": folder, **asdict(each)} for folder, several in odd.items() for each in several],
    }


def _submit_form(options: argparse.Namespace) -> int:
    from prm_eval.store.safe_json import read_json
    from prm_eval.submissions.form import (
        answers_of,
        ask,
        disclosure_fields,
        fill_in,
        is_for_step_set,
        nested,
        read_submission_fields,
        threshold_answer,
    )
    from prm_eval.submissions.questions import QUESTIONS

    fields = read_submission_fields(options.folder)
    threshold = options.threshold
    if options.answers is not None:
        disclosure = nested(read_json(options.answers))
    else:
        given = {each.name: value for each in QUESTIONS if (value := getattr(options, each.name)) is not None}
        known = answers_of(fields.get("disclosure"))
        if fields.get("threshold") is not None:
            known["threshold"] = str(fields["threshold"])
        if sys.stdin.isatty():
            print("Enter keeps what stands in brackets.")
            of_steps = is_for_step_set(options.folder)
            given = ask(given, known, lambda prompt: input(harmless(prompt)), of_steps=of_steps)
        disclosure = disclosure_fields(known | given)
        threshold = given.get("threshold")
    fill_in(options.folder, disclosure, threshold=threshold_answer(threshold or ""))
    print(f"written    {options.folder / 'submission.json'}")
    print(f"next       prm-eval check {options.folder}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from prm_eval.evaluation.stepwise.placing import placing_model
    from prm_eval.rewards import RewardFile, load_reward_model
    from prm_eval.rewards.files.finished import FILES
    from prm_eval.rewards.models.prefixes import by_prefixes
    from prm_eval.store.writing import remove_leftovers
    from prm_eval.submissions import check_submission, verify_submission
    from prm_eval.submissions.checking.check import results_of
    from prm_eval.submissions.verify import sample_for

    folder = options.folder.absolute()
    results = results_of(folder)
    # of a verification that was killed; else it could not be repeated
    remove_leftovers(folder, FILES)
    faults = [each for each in check_submission(folder, results) if each.kind not in ("verification", "disclosure")]
    if faults:
        more = f" (and {len(faults) - 1} more: prm-eval check {options.folder})" if len(faults) > 1 else ""
        raise PrmEvalError(f"there is nothing to verify before this is mended: {faults[0]}{more}")
    pool = _pool_of(folder, results)
    given = {name: getattr(options, name) for name in VERIFY_OPTIONS}
    if given["dtype"] is None:
        # another precision would differ by more than other batches do
        given["dtype"] = RewardFile(folder).info.model.get("dtype")
    prefixes = RewardFile(folder).info.model.get("prefixes") is True

    def load(**asked: Any) -> RewardModel:
        if pool.step_set is not None:
            return placing_model(options.reward_model, asked)
        found = load_reward_model(options.reward_model, **asked)
        return by_prefixes(found) if prefixes and found.kind == "orm" else found

    model = load(**given)
    halved = model.describe().get("dtype") in HALVES
    otherwise = load(**given | {"dtype": "float32"}) if halved else None
    seed = secrets.randbits(31) if options.seed is None else options.seed
    sample = None if options.all else sample_for(pool, folder) if options.sample is None else options.sample
    with Bar(SCORING_AGAIN, sample, "candidate") as progress:
        found = verify_submission(
            folder,
            pool,
            model,
            sample=sample,
            seed=seed,
            verified_by=options.by,
            progress=progress,
            otherwise=otherwise,
        )
    _print_verification(found)
    print(f"verdict    {found.verdict}; written to {options.folder / 'verification.json'}")
    return 0 if found.verdict == "agrees" else 1


def _print_verification(found: VerificationFile) -> None:
    from prm_eval.rewards.files.reward_file import VERIFIED
    from prm_eval.submissions import detection_probability
    from prm_eval.submissions.leeway import MOST_LEEWAY, sample_needed
    from prm_eval.submissions.trust import MEAN_SHARE, MOST_FOLLOWED

    compared, of, n = found.compared, found.of, found.headline_n
    print(f"compared   {compared:,} of {of:,} candidates" + ("" if found.seed is None else f", seed {found.seed}"))
    greatest = "none" if found.max_difference is None else f"{found.max_difference:.3g}"
    mean = "none" if found.mean_difference is None else f"{found.mean_difference:.3g}"
    limits = f"tolerance {found.tolerance:g}, for the mean {found.tolerance / MEAN_SHARE:g}"
    print(f"difference at most {greatest}, mean {mean} ({found.scale}; {limits}; measured noise {found.noise:.3g})")
    print(f"beyond     {found.beyond:,} candidates; {found.inputs_differ:,} with another rendered input")
    what = "grades     are" if found.measure is None else "labels     are"
    print(f"{what} followed by the differences with {found.follows_grade:.2f} standard errors "
          f"(at most {MOST_FOLLOWED:g})")  # fmt: skip
    for edited in sorted({math.ceil(share * of) for share in (0.001, 0.01, 0.05)}):
        chance = detection_probability(edited, compared, of)
        edit = f"an edit of {counted(edited, 'candidate')} ({edited / of:.2%})"
        print(f"would have seen {edit} with probability {chance:.4f}")
    if found.measure is not None:
        _print_steps(found)
        return
    if found.gained is not None:
        source = f"the board shows the model's own ({VERIFIED})" if found.verified_sha256 else "as the model's own"
        print(f"best of {n}  by the submitted rewards: {found.gained:+.2f} points; {source}")
        return
    print(f"leeway     {found.leeway:.2f} points of best of {n}, with 95 % confidence (the tier: {MOST_LEEWAY:g})")
    if found.verdict == "agrees" and (found.leeway or 0.0) > MOST_LEEWAY:
        # a further sample is at least twice as large
        more = max(sample_needed(n or 1), 2 * compared)
        may = f"--sample {more} may do, " if more < of else ""
        print(f"no tier    this leaves too much open; {may}--all certainly does")


def _print_steps(found: VerificationFile) -> None:
    """Print what the differences on a step set are worth."""
    from prm_eval.evaluation.stepwise.report import HEADLINES
    from prm_eval.rewards.files.reward_file import VERIFIED
    from prm_eval.submissions.leeway import MOST_LEEWAY

    name = HEADLINES[found.measure or "f1"]
    changed = counted(found.calls_changed or 0, "solution")
    called = "good only if its score is above" if found.measure == "prm_score" else "wrong if its score is below"
    print(f"calls      changed in {changed}: a step is {called} {found.threshold:g}")
    if found.gained is not None:
        source = f"the board shows the model's own ({VERIFIED})" if found.verified_sha256 else "as the model's own"
        print(f"{name:<10} by the submitted scores: {found.gained:+.2f} points; {source}")
        return
    print(f"leeway     {found.leeway:.2f} points of {name}, with 95 % confidence (the tier: {MOST_LEEWAY:g})")
    if found.verdict == "agrees" and (found.leeway or 0.0) > MOST_LEEWAY:
        print("no tier    this leaves too much open; --all certainly does it, a larger --sample may")


def _pool_of(folder: Path, results: Path) -> RegisteredPool:
    from prm_eval.submissions.readers import read_pool_ref

    pool = read_pool_ref(results / "pools" / f"{folder.name}.json", results)
    if pool.pool is None:
        raise DataError(results / "pools" / folder.name, None, "no pool", "the pool", "Download it to that folder")
    return pool


def _leaderboard(options: argparse.Namespace) -> int:
    from prm_eval.children.workers import processors
    from prm_eval.leaderboard import build, compare, update_readme

    jobs = options.jobs or processors()
    output = options.output or options.results / "leaderboard"
    if options.check:
        files, left_out = compare(options.results, output, jobs=jobs)
        if (
            options.readme
            and (output / "leaderboard.md").is_file()
            and not update_readme(options.readme, output, write=False)
        ):
            files.append(str(options.readme))
        for name in files:
            print(f"stale: {name}")
        for each in left_out:
            print(f"left out: {each.path}: {each.why}", file=sys.stderr)
        stale = f"{counted(len(files), 'stale file')}; prm-eval leaderboard makes them again"
        print(stale if files else f"{output} is up to date")
        return 1 if files else 0
    with Bar(RENDERING, None, "page") as progress:
        built = build(options.results, output, jobs=jobs, progress=progress)
    if options.readme:
        update_readme(options.readme, output, write=True)
    for each in built.left_out:
        print(f"left out: {each.path}: {each.why}", file=sys.stderr)
    sets = f" and {counted(built.step_sets, 'step set')}" if built.step_sets else ""
    print(f"board      {built.folder / 'index.html'}")
    print(
        f"holds      {counted(built.submissions, 'submission')} on {counted(built.pools, 'pool')}{sets}; "
        f"{built.changed} of {counted(built.files, 'file')} changed"
    )
    return 0


SUBMISSION_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "check": _check,
    "submit-form": _submit_form,
    "verify": _verify,
    "leaderboard": _leaderboard,
}
