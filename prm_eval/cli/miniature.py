"""The commands about the miniature: ``check``, ``policy``, ``orm``, ``prm``, ``all``, ``figures``, ``study``. Part of the command line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from contextlib import ExitStack

from prm_eval.progress import Bar


def _check(options: argparse.Namespace) -> int:
    from prm_eval.miniature.disjoint import check_splits

    trained: set[str] = set()
    if options.trained is not None:
        from prm_eval.miniature.make import drawn_for_training

        with Bar("drawing what was trained on", None, "problem") as update:
            trained = drawn_for_training(options.trained, progress=update)
        print(f"trained on with seed {options.trained}: {len(trained):,} normal forms, counted under train")
    total = len(options.seeds) * (options.train + 2 * options.count)
    with Bar("drawing", total, "problem") as update:
        found = check_splits(options.seeds, options.train, options.count, progress=update, trained=trained)
    for split, forms in found.forms.items():
        print(
            f"{split:<11}{found.drawn[split]:>8,} drawn over seeds {', '.join(map(str, options.seeds))}: {forms:,} "
            "normal forms"
        )
    for pair, shared in found.shared.items():
        print(
            f"{' and '.join(pair):<24} share {len(shared):,} normal "
            f"forms{''.join(f'{chr(10)}  {form}' for form in shared[:5])}"
        )
    return 1 if any(found.shared.values()) else 0


def _make(options: argparse.Namespace) -> int:
    from prm_eval.miniature.make import Settings, checkpoint_name, make
    from prm_eval.miniature.train import Schedule

    settings = Settings(policy=Schedule(options.policy_steps)) if options.policy_steps else Settings()
    given = {"seed": options.seed, "device": options.device, "settings": settings}
    with _Bars() as update:
        record = make(options.goal, options.output, progress=update, **given)
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
    with _Bars() as update:
        found = figures(options.models, options.output, count=options.problems, progress=update, **given)
    print(found.text)
    return 0 if found.held else 1


def _study(options: argparse.Namespace) -> int:
    from prm_eval.miniature.study import Laboratory, StudySettings, as_text, run_study
    from prm_eval.miniature.weights import weights_folder

    given = {name: getattr(options, name) for name in ("problems", "test_problems", "samples", "most_steps")}
    settings = StudySettings(**given, seeds=tuple(options.seeds))
    models = options.models or weights_folder()
    with _Bars() as update:
        laboratory = Laboratory(options.output, models, settings, device=options.device, progress=update)
        files = run_study(options.name, laboratory, options.output)
    print(as_text(json.loads(files[0].read_text(encoding="utf-8"))))
    print("\n".join(map(str, files)))
    return 0


class _Bars:
    """One progress bar after the other, by what is being done."""

    def __init__(self) -> None:
        self._what, self._open = "", ExitStack()
        self._update: Callable[[int], None] = _nothing

    def __enter__(self) -> Callable[[str, int, int], None]:
        return self._show

    def _show(self, what: str, done: int, total: int) -> None:
        if what != self._what:
            self._open.close()
            self._what, self._update = what, self._open.enter_context(Bar(what, total, ""))
        self._update(done)

    def __exit__(self, *rest: object) -> None:
        self._open.close()


def _nothing(done: int) -> None:
    pass


MINIATURE_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "miniature check": _check,
    "miniature make": _make,
    "miniature figures": _figures,
    "miniature study": _study,
}
