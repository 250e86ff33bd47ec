"""The summaries of a study: curves of several seeds with limits, the JSON file, and the picture."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.stats import seed_weights
from prm_eval.store.writing import write_text

Floats = npt.NDArray[np.float64]
RESAMPLES = 10_000
# of Okabe and Ito, which colour-blind readers can tell apart
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("--", ":")


def interval(by_seed: Floats, *, share: bool = True) -> dict[str, Any]:
    """Return mean, 95 % limits and the mean of each seed for values (seeds, problems).

    Those of a share stay within 0 and 1, which Student's distribution does not know.

    The limits hold what other problems would change (they are resampled), and what other trainings that differ as these
    do (:func:`prm_eval.evaluation.stats.seed_weights`); what all seeds share, such as the start, does not vary.
    """
    means = resampled(by_seed[None], RESAMPLES)[:, 0]
    low, high = np.quantile(means, [0.025, 0.975])
    if share:
        low, high = max(0.0, low), min(1.0, high)
    return {
        "value": round(float(by_seed.mean()), 6),
        "low": round(float(low), 6),
        "high": round(float(high), 6),
        "seeds": [round(float(each), 6) for each in by_seed.mean(axis=1)],
    }


def difference(one: Floats, other: Floats, n: int | None = None) -> dict[str, Any]:
    """Return the paired difference of two (seeds, problems), as :func:`interval` does; best of 1 chooses nothing."""
    return interval(np.zeros_like(one) if n == 1 else one - other, share=False)


def resampled(values: Floats, count: int, seed: int = 0) -> Floats:
    """Return the means, (count, arms), of resamples of values (arms, seeds, problems).

    Both seeds and problems vary in the same way for all arms.
    """
    over_seeds, over_problems = _weights(*values.shape[1:], count, seed)
    return np.stack([((over_seeds @ arm) * over_problems).sum(axis=1) for arm in values], axis=1)


@lru_cache(maxsize=4)
def _weights(seeds: int, problems: int, count: int, seed: int) -> tuple[Floats, Floats]:
    """Return the weights of seeds and of problems in ``count`` resamples."""
    generator = np.random.default_rng(seed)
    over_problems = generator.multinomial(problems, np.full(problems, 1 / problems), count) / problems
    return seed_weights(seeds, count, seed), over_problems


def by_n(curves: Floats, ns: Sequence[int]) -> dict[str, Any]:
    """Return :func:`interval` of accuracies (seeds, problems, len(ns)) for each n."""
    return {str(n): interval(curves[:, :, k]) for k, n in enumerate(ns)}


def differences_by_n(one: Floats, other: Floats, ns: Sequence[int]) -> dict[str, Any]:
    """Return :func:`difference` of accuracies (seeds, problems, len(ns)) for each n."""
    return {str(n): difference(one[:, :, k], other[:, :, k], n) for k, n in enumerate(ns)}


def write_study(folder: Path, name: str, found: Mapping[str, Any], picture: str) -> list[Path]:
    """Write ``NAME.json`` and ``NAME.svg``, and return both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.json", folder / f"{name}.svg"]
    write_text(paths[0], json.dumps(found, indent=1, sort_keys=True) + "\n")
    write_text(paths[1], picture)
    return paths


def as_text(found: Mapping[str, Any]) -> str:
    """Return the figures of a study as a table, in per cent with 95 % limits.

    It has a row for each verifier or difference, and a column for each n, or for what ``columns`` names.
    """
    rows: dict[str, dict[str, str]] = {}
    for path, figure in sorted(_figures(found, ()), key=lambda each: [_number_or_name(part) for part in each[0]]):
        cell = f"{100 * figure['value']:.1f} [{100 * figure['low']:.1f}, {100 * figure['high']:.1f}]"
        rows.setdefault(", ".join(path[:-1]), {})[path[-1]] = cell
    columns = found.get("columns") or {str(n): f"n = {n}" for n in found["n"]}
    for size, shares in sorted(found.get("explained by false positives", {}).items(), key=lambda each: int(each[0])):
        rows[f"gaps, {size}, explained by false positives"] = {
            n: "no sure gap" if share is None else f"{100 * share:.0f} %" for n, share in shares.items()
        }
    wide = max(map(len, rows))
    lines = [f"{'per cent, 95 % limits':<{wide}}" + "".join(f"{heading:>21}" for heading in columns.values())]
    lines += [f"{name:<{wide}}" + "".join(f"{cells.get(n, ''):>21}" for n in columns) for name, cells in rows.items()]
    for arms, by_size in found.get("data_efficiency", {}).items():
        lines += [f"data efficiency, {arms}, n = {n}: {_ratio_text(each)}" for n, each in by_size.items()]
    if "paper" in found:
        lines.append(f"the paper: {found['paper']}")
    return "\n".join(lines)


def _ratio_text(found: Mapping[str, Any]) -> str:
    limits = f"[{found['low']:.2f}, {found['high']:.2f}]" if found["low"] is not None else "no limits: no common slope"
    return f"{found['ratio']:.2f} {limits}" if found["ratio"] is not None else f"none {limits}"


def _number_or_name(part: str) -> tuple[int, int, str]:
    return (0, int(part), "") if part.isdigit() else (1, 0, part)


def _figures(found: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    if isinstance(found, Mapping) and {"value", "low", "high"} <= set(found):
        yield path, found
    elif isinstance(found, Mapping):
        for key, each in found.items():
            yield from _figures(each, (*path, key))
    elif isinstance(found, list):
        for number, each in enumerate(found, 1):
            yield from _figures(each, (*path, str(number)))


def draw(
    curves: Mapping[str, Sequence[tuple[float, Mapping[str, Any]]]],
    *,
    x: str,
    title: str,
    log: bool = True,
    ticks: Mapping[float, str] | None = None,
    flat: Mapping[str, float] | None = None,
) -> str:
    """Return an SVG of curves with bands (95 % limits) and a dot a seed, with the same bytes each time.

    Args:
        curves: The points of each curve by name, as pairs of x and the result of :func:`interval`.
        x: The label of the x axis.
        title: The title of the picture.
        log: Whether the x axis is logarithmic.
        ticks: Labels of the x axis by place, where they are not the numbers.
        flat: Horizontal lines by name.

    Raises:
        ValueError: There are more curves than :data:`COLOURS`, or more lines than :data:`DASHES`.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import NullFormatter, NullLocator

    style = {"svg.hashsalt": "prm_eval", "svg.fonttype": "none", "font.size": 11, "axes.spines.top": False,
             "axes.spines.right": False}  # fmt: skip
    with matplotlib.rc_context(style):
        figure, axes = pyplot.subplots(figsize=(8.5, 4.8), layout="constrained")
        for colour, (name, points) in zip(COLOURS[: len(curves)], curves.items(), strict=True):
            xs = [at for at, _ in points]
            axes.plot(xs, [100 * each["value"] for _, each in points], "o-", color=colour, label=name, linewidth=2)
            low, high = ([100 * each[side] for _, each in points] for side in ("low", "high"))
            axes.fill_between(xs, low, high, color=colour, alpha=0.13, linewidth=0)
            for at, each in points:
                axes.plot([at] * len(each["seeds"]), [100 * v for v in each["seeds"]], ".", color=colour, markersize=4)
        lines = flat or {}
        for dash, (name, value) in zip(DASHES[: len(lines)], lines.items(), strict=True):
            axes.axhline(100 * value, color="#444444", linestyle=dash, linewidth=1.2, label=name)
        places = sorted({at for points in curves.values() for at, _ in points})
        if log:
            axes.set_xscale("log")
        axes.set_xticks(places, [(ticks or {}).get(at, f"{at:g}") for at in places])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(x)
        axes.set_ylabel("accuracy, %")
        axes.set_title(title, loc="left", fontsize=11)
        axes.grid(axis="y", alpha=0.25)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    svg = stream.getvalue()
    return svg[svg.index("<svg") :]
