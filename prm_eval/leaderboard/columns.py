"""The columns of the board: one table, from which the page, the Markdown, CSV and JSON are all made.

A new column is a new line of :data:`COLUMNS` and the function that fills its cells; no other module and no template has
to know of it.
"""

from __future__ import annotations

from prm_eval.evaluation.baselines import BASELINES
from prm_eval.leaderboard.cells import (
    ASKED,
    MARKS,
    Cell,
    Flag,
    accuracy_cell,
    curve_json,
    diagnostics_json,
    difference_cell,
    groups_json,
    interval_json,
    number_cell,
    sort_key,
    text_cell,
    trained_on,
)
from prm_eval.leaderboard.layout import Column, InCsv, InMarkdown, OnPage, Reference, Scene, in_order
from prm_eval.leaderboard.rows import Entry
from prm_eval.leaderboard.words import grouped, percent, rounded, span

# what a clock was read to; less is no measurement
LEAST_SECONDS = 1e-3


# --- the cells --------------------------------------------------------------------------------------------------------


def _rank(row: Entry, scene: Scene) -> Cell:
    best, worst = row.standing.best, row.standing.worst
    text = span(best, worst)
    return Cell(text, sort=f"{best}.{worst:04d}", csv=(text.replace("\u2013", "-"),), json=[best, worst])


def short_revision(revision: str) -> str:
    """Return the first digits of a revision, with what sort it is."""
    return revision[:8] if len(revision) == 40 else revision[:15]


def _model(row: Entry, scene: Scene) -> Cell:
    submission = row.submission
    return Cell(
        submission.model,
        sort=submission.model.lower(),
        foreign=True,
        notes=(submission.org, short_revision(submission.revision)),
        link=f"submissions/{row.slug}.html",
        markdown=row.name,
        csv=(row.name,),
        json=submission.model,
    )


def _baseline_model(row: Reference, scene: Scene) -> Cell:
    name = BASELINES[row.name]
    return Cell(name.short, title=name.about, notes=(name.about,), markdown=f"*{name.short}*", csv=(row.name,))


def _revision(row: Entry, scene: Scene) -> Cell:
    return text_cell(row.submission.revision)


def _kind(row: Entry, scene: Scene) -> Cell:
    kind = row.submission.rewards.info.kind
    return Cell(kind.upper(), sort=kind.upper(), csv=(kind,), json=kind)


def _baseline_kind(row: Reference, scene: Scene) -> Cell:
    return Cell("\u2013", markdown="baseline", csv=("baseline",))


def _tier(row: Entry, scene: Scene) -> Cell:
    """Return the tier, and as flags what speaks against the row: doubts first, then what it was trained on."""
    tier = row.submission.tier
    trained = trained_on(row.submission.disclosure)
    doubts = [each.text for each in row.suspicions]
    flags = [Flag(f"\u2691 {len(doubts)} doubt{'s' * (len(doubts) > 1)}", "; ".join(doubts), True)] if doubts else []
    for short, long, answer in trained:
        if answer == "yes":
            flags.append(Flag(f"saw {short}", f"Trained on {long}", True))
        else:
            flags.append(Flag(f"{short}?", f"Perhaps trained on {long}", False))
    weight = 100 * len(doubts) + sum(10 if answer == "yes" else 1 for _, _, answer in trained)
    return Cell(
        tier,
        sort=f"{list(MARKS).index(tier)}.{9999 - weight:04d}",
        mark=MARKS[tier],
        flags=tuple(flags),
        markdown=MARKS[tier],
        csv=(tier,),
        json=tier,
    )


def _baseline_tier(row: Reference, scene: Scene) -> Cell:
    return Cell("baseline", mark=MARKS["baseline"], markdown=MARKS["baseline"], csv=("baseline",))


def _bon(row: Entry, scene: Scene) -> Cell:
    curve, settings = row.measured.bon, scene.settings
    return accuracy_cell(curve, settings.column, chart=scene.chart(curve), json=curve_json(curve, settings.ns))


def _baseline_bon(row: Reference, scene: Scene) -> Cell:
    curve = row.measured.curve
    return accuracy_cell(curve, scene.settings.column, chart=scene.chart(curve))


def _over_majority(row: Entry, scene: Scene) -> Cell:
    return difference_cell(row.standing.over_majority, row.standing.p_majority)


def _over_best(row: Entry, scene: Scene) -> Cell:
    return difference_cell(row.standing.over_best, row.standing.p_best)


def _wmaj(row: Entry, scene: Scene) -> Cell:
    curve, settings = row.measured.wmaj, scene.settings
    return accuracy_cell(curve, settings.column, json=curve_json(curve, settings.ns))


def _gap(row: Entry, scene: Scene) -> Cell:
    gap = row.standing.gap
    if gap is None:
        return Cell()
    low, high = percent(gap.low, 0), percent(gap.high, 0)
    values = (gap.value, gap.low, gap.high)
    text = f"{percent(gap.value, 0)} %"
    return Cell(text, low, high, sort_key(gap.value), csv=values, json=interval_json(gap))


def _cost(row: Entry, scene: Scene) -> Cell:
    tokens, cost = row.measured.tokens, row.submission.cost
    parts = [] if tokens is None else [f"{grouped(tokens)} tok"]
    if cost.seconds and cost.seconds >= LEAST_SECONDS:
        speed = cost.candidates / cost.seconds
        parts.append(f"{grouped(speed) if speed >= 10 else f'{speed:.2g}'}/s")
    return Cell(
        " \u00b7 ".join(parts),
        sort=sort_key(tokens),
        notes=(cost.device,) if cost.device else (),
        csv=(tokens, cost.candidates, cost.seconds, cost.device),
        json={
            "candidates": cost.candidates,
            "device": cost.device,
            "seconds": rounded(cost.seconds),
            "tokens_per_candidate": rounded(tokens, 2),
        },
    )


def _trained_on(row: Entry, scene: Scene) -> Cell:
    disclosure = row.submission.disclosure
    found = trained_on(disclosure)
    answers = {name: getattr(disclosure.trained_on, name) for name in ASKED} if disclosure else None
    return Cell(
        ", ".join(short + ("?" if answer == "unknown" else "") for short, _, answer in found),
        csv=tuple(answers.values()) if answers else (),
        json=answers,
    )


def _refused(row: Entry, scene: Scene) -> Cell:
    """Return the share that was refused, in per cent; few of many are not called none."""
    count, of = sum(row.measured.refusals.values()), row.measured.candidates
    share = count / of
    text = "0" if not count else "< 0.1" if share < 0.001 else percent(share)
    return Cell(
        text,
        sort=sort_key(share),
        title=f"{grouped(count)} of {grouped(of)} candidates",
        csv=(share,),
        json=rounded(share),
    )


def _refusals(row: Entry, scene: Scene) -> Cell:
    return Cell(csv=(sum(row.measured.refusals.values()),), json=row.measured.refusals)


def _doubts(row: Entry, scene: Scene) -> Cell:
    found = row.suspicions
    return Cell(
        str(len(found)) if found else "",
        csv=("; ".join(each.name for each in found),),
        json=[{"name": each.name, "text": each.text, "value": rounded(each.value)} for each in found],
    )


def _aggregations(row: Entry, scene: Scene) -> Cell:
    tried = row.measured.aggregations
    return Cell(json={name: curve_json(curve, scene.settings.ns) for name, curve in tried.items()})


def _pool(row: Entry | Reference, scene: Scene) -> Cell:
    return Cell(csv=(scene.pool_id,))


def _n(row: Entry | Reference, scene: Scene) -> Cell:
    return Cell(csv=(scene.settings.headline_n,))


# --- the table --------------------------------------------------------------------------------------------------------


def _limited(name: str) -> tuple[str, str, str]:
    return name, f"{name}_low", f"{name}_high"


COLUMNS: tuple[Column, ...] = (
    Column("pool", _pool, _pool, csv=InCsv(("pool",))),
    Column("n", _n, _n, csv=InCsv(("n",))),
    Column(
        "rank",
        _rank,
        heading="Rank",
        meaning="All ranges of this table hold at once, with 95 % confidence",
        page=OnPage(first="asc", menu="Rank", after="model"),
        markdown=InMarkdown(),
        csv=InCsv(("rank",)),
        json="rank",
    ),
    Column("org", lambda row, scene: text_cell(row.submission.org), json="org"),
    Column(
        "model",
        _model,
        _baseline_model,
        heading="Model",
        page=OnPage("name", first="asc", words=True),
        markdown=InMarkdown(),
        csv=InCsv(("model",)),
        json="model",
    ),
    Column("page", lambda row, scene: Cell(json=f"submissions/{row.slug}.html"), json="page"),
    Column("revision", _revision, csv=InCsv(("revision",)), json="revision"),
    Column(
        "kind",
        _kind,
        _baseline_kind,
        heading="Kind",
        page=OnPage(first="asc", menu="Kind", left=True, words=True, after="gap"),
        markdown=InMarkdown(),
        csv=InCsv(("kind",)),
        json="kind",
    ),
    Column(
        "tier",
        _tier,
        _baseline_tier,
        heading="Trust",
        meaning="How far the rewards were verified, and what speaks against the row",
        page=OnPage("flags", menu="Trust", left=True, after="kind"),
        markdown=InMarkdown("tier"),
        csv=InCsv(("tier",)),
        json="tier",
    ),
    Column(
        "bon",
        _bon,
        _baseline_bon,
        heading="bon@{n}",
        meaning="Best of {n}",
        page=OnPage("chart"),
        markdown=InMarkdown(limits=True),
        csv=InCsv(_limited("bon")),
        json="bon",
    ),
    Column(
        "maj",
        _over_majority,
        heading="\u2212 majority",
        meaning="Paired difference to the majority vote, in points",
        page=OnPage(menu="\u2212 majority"),
        markdown=InMarkdown(limits=True),
        csv=InCsv(_limited("over_majority")),
        json="over_majority",
    ),
    Column(
        "best",
        _over_best,
        heading="\u2212 best",
        meaning="Paired difference to the highest row, in points",
        page=OnPage(menu="\u2212 best"),
        csv=InCsv(_limited("over_best")),
        json="over_best",
    ),
    Column(
        "wmaj",
        _wmaj,
        heading="wmaj@{n}",
        meaning="Majority vote weighted by reward",
        page=OnPage(menu="Weighted majority"),
        markdown=InMarkdown(),
        csv=InCsv(_limited("wmaj"), after="bon"),
        json="wmaj",
    ),
    Column(
        "gap",
        _gap,
        heading="Gap",
        meaning="Share of the way from the mean to the oracle",
        page=OnPage(menu="Gap"),
        markdown=InMarkdown(),
        csv=InCsv(_limited("gap")),
        json="gap_recovered",
    ),
    Column(
        "p_majority",
        lambda row, scene: number_cell(row.standing.p_majority),
        csv=InCsv(("p_majority_holm",)),
        json="p_majority_holm",
    ),
    Column(
        "p_best", lambda row, scene: number_cell(row.standing.p_best), csv=InCsv(("p_best_holm",)), json="p_best_holm"
    ),
    Column(
        "cost",
        _cost,
        heading="Cost",
        meaning="Tokens a candidate; candidates a second and the device, as the submission says",
        page=OnPage(first="asc", menu="Cost"),
        csv=InCsv(("tokens_per_candidate", "candidates", "seconds", "device")),
        json="cost",
    ),
    Column(
        "licence",
        lambda row, scene: text_cell(row.submission.licence),
        heading="Licence",
        page=OnPage(first="asc", menu="Licence", left=True, words=True),
        csv=InCsv(("licence",)),
        json="licence",
    ),
    Column(
        "base_model",
        lambda row, scene: text_cell(row.submission.base_model),
        csv=InCsv(("base_model",)),
        json="base_model",
    ),
    Column(
        "trained_on",
        _trained_on,
        heading="Trained on",
        markdown=InMarkdown(),
        csv=InCsv(tuple(f"trained_on_{name}" for name in ASKED)),
        json="trained_on",
    ),
    Column(
        "refused",
        _refused,
        heading="Refused %",
        meaning="Share of the candidates that the model refused; these lose every comparison",
        page=OnPage(menu="Refused %", after="gap"),
        markdown=InMarkdown(after="gap"),
        csv=InCsv(("refused_share",)),
        json="refused_share",
    ),
    Column("refusals", _refusals, csv=InCsv(("refused",)), json="refused"),
    Column("doubts", _doubts, heading="Doubts", markdown=InMarkdown(), csv=InCsv(("suspicions",)), json="suspicions"),
    Column("aggregation", lambda row, scene: Cell(json=row.submission.rewards.aggregation), json="aggregation"),
    Column("aggregations", _aggregations, json="aggregations"),
    Column("diagnostics", lambda row, scene: Cell(json=diagnostics_json(row.measured)), json="diagnostics"),
    Column("groups", lambda row, scene: Cell(json=groups_json(row.measured)), json="groups"),
)

# the columns of each output with their forms there, in its order
PAGE = in_order(COLUMNS, lambda column: column.page)
MARKDOWN = in_order(COLUMNS, lambda column: column.markdown)
CSV = in_order(COLUMNS, lambda column: column.csv)

_BY_KEY = {column.key: column for column in COLUMNS}
# what the overview of all pools says of a model, and of a model on each pool
OVERVIEW_NAMES = (_BY_KEY["model"], _BY_KEY["kind"])
OVERVIEW = (_BY_KEY["bon"], _BY_KEY["rank"])
