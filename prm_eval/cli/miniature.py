"""The actions of ``miniature``: ``check``, ``policy``, ``orm``, ``prm``, ``all``, ``study``, ``figures``, ``steps``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

from prm_eval.cli.printing import say as print
from prm_eval.progress import DRAWING, DRAWING_TRAINED, Bar


def _check(options: argparse.Namespace) -> int:
    from prm_eval.miniature.disjoint import check_splits

    trained: set[str] = set()
    if options.trained is not None:
        from prm_eval.miniature.make import drawn_for_training

        for seed in options.trained:
            with Bar(DRAWING_TRAINED, None, "problem") as progress:
                drawn = drawn_for_training(seed, progress=progress)
            trained |= drawn
            print(f"trained on with seed {seed}: {len(drawn):,} normal forms, counted under train")
    total = len(options.seeds) * (options.train + 2 * options.count)
    with Bar(DRAWING, total, "problem") as progress:
        found = check_splits(options.seeds, options.train, options.count, progress=progress, trained=trained)
    for split, forms in found.forms.items():
        seeds = ", ".join(map(str, options.seeds))
        print(f"{split:<11}{found.drawn[split]:>8,} drawn over seeds {seeds}: {forms:,} normal forms")
    for pair, shared in found.shared.items():
        examples = "".join(f"\n  {form}" for form in shared[:5])
        print(f"{' and '.join(pair):<24} share {len(shared):,} normal forms{examples}")
    return 1 if any(found.shared.values()) else 0


def _make(options: argparse.Namespace) -> int:
    from prm_eval.miniature.make import Settings, checkpoint_name, make
    from prm_eval.miniature.train import Schedule

    settings = Settings(policy=Schedule(options.policy_steps))
    given = {name: getattr(options, name) for name in ("seed", "device", "backbone")}
    record = make(options.goal, options.output, settings=settings, bars=Bar, **given)
    for stage, about in record.items():
        size = f"  {about['bytes'] / 1e6:.2f} MB" if "bytes" in about else ""
        print(f"{stage:<11}{about['seconds']:>8,.0f} s{size}")
    for kind in ("policy", "orm", "prm"):
        if (options.output / checkpoint_name(kind)).is_dir():
            print(f"{kind:<11}{options.output / checkpoint_name(kind)}")
    return 0


def _figures(options: argparse.Namespace) -> int:
    from prm_eval.miniature.figures import figures

    given = {name: getattr(options, name) for name in ("split", "candidates", "temperature", "seed", "device")}
    found = figures(options.models, options.output, count=options.problems, bars=Bar, **given)
    print(found.text)
    return 0 if found.held else 1


def _study(options: argparse.Namespace) -> int:
    from prm_eval.miniature.study import Laboratory, StudySettings, as_text, run_study
    from prm_eval.miniature.weights import weights_folder

    given = {
        name: getattr(options, name)
        for name in ("problems", "test_problems", "samples", "most_steps", "split", "iterated", "rounds")
    }
    settings = StudySettings(**given, seeds=tuple(options.seeds))
    models = options.models or weights_folder()
    laboratory = Laboratory(options.output, models, settings, device=options.device, bars=Bar)
    files = run_study(options.name, laboratory, options.output)
    print(as_text(json.loads(files[0].read_text(encoding="utf-8"))))
    print("\n".join(map(str, files)))
    return 0


def _steps(options: argparse.Namespace) -> int:
    from prm_eval.miniature.step_set import balance, make_step_set
    from prm_eval.pools.pool import Pool

    found = make_step_set(Pool(options.pool).require_sound(), options.output)
    has = balance(found)
    print(f"solutions  {has.solutions:,} of {has.problems:,} problems, {has.steps:,} steps")
    print(f"no error   {has.solutions - has.with_error:,}")
    print(f"an error   {has.with_error:,}, {has.false_positives:,} of them with the right answer all the same")
    print(f"labels     every step, by the oracle: {has.wrong_steps:,} wrong")
    print(f"step set   {found.path}  ({found.info.content_hash[:12]})")
    return 0


MINIATURE_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "miniature check": _check,
    "miniature make": _make,
    "miniature figures": _figures,
    "miniature steps": _steps,
    "miniature study": _study,
}
