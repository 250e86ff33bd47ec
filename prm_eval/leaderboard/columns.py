"""The columns of the board: one table, from which the page, the Markdown, CSV and JSON are made.

A new column is a new line of :data:`COLUMNS` and the function that fills its cells (:mod:`prm_eval.leaderboard.fills`);
no other module and no template changes.
"""

from __future__ import annotations

from prm_eval.leaderboard import fills
from prm_eval.leaderboard.cells import ASKED, Cell, diagnostics_json, groups_json, number_cell, text_cell
from prm_eval.leaderboard.layout import Column, InCsv, InMarkdown, OnPage, Reference, Scene, in_order
from prm_eval.leaderboard.links import hub_link
from prm_eval.leaderboard.rows import Entry


def _limited(name: str) -> tuple[str, str, str]:
    return name, f"{name}_low", f"{name}_high"


COLUMNS: tuple[Column[Entry, Reference, Scene], ...] = (
    Column("pool", fills.pool, fills.pool, csv=InCsv(("pool",))),
    Column("n", fills.headline, fills.headline, csv=InCsv(("n",))),
    Column(
        "rank",
        fills.rank,
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
        fills.model,
        fills.baseline_model,
        heading="Model",
        page=OnPage("name", first="asc", words=True),
        markdown=InMarkdown(),
        csv=InCsv(("model",)),
        json="model",
    ),
    Column("page", lambda row, scene: Cell(json=fills.page_of(row)), json="page"),
    Column(
        "revision", lambda row, scene: text_cell(row.submission.revision), csv=InCsv(("revision",)), json="revision"
    ),
    Column(
        "kind",
        fills.kind,
        fills.baseline_kind,
        heading="Kind, size",
        meaning="PRM: a reward a step; ORM: one a candidate. Size: parameters, where the submitter gave them",
        page=OnPage(first="asc", menu="Kind, size", left=True, words=True, after="gap"),
        markdown=InMarkdown("kind"),
        csv=InCsv(("kind",)),
        json="kind",
    ),
    Column(
        "tier",
        fills.tier,
        fills.baseline_tier,
        heading="Trust",
        meaning="How far the rewards were verified, and what speaks against the row",
        page=OnPage("flags", menu="Trust", left=True, after="rank"),
        markdown=InMarkdown("tier"),
        csv=InCsv(("tier",)),
        json="tier",
        over_pools=fills.tier_over_pools,
    ),
    Column(
        "bon",
        fills.bon,
        fills.baseline_bon,
        heading="bon@{n}",
        meaning="Best of {n}",
        page=OnPage("chart"),
        markdown=InMarkdown(limits=True),
        csv=InCsv(_limited("bon")),
        json="bon",
    ),
    Column(
        "competing",
        fills.competing,
        heading="Competing",
        meaning="Best of {n} if candidates without an answer competed by their rewards instead of losing; shown where "
        "that moves a row by more than half a point at some n",
        page=OnPage(menu="If those without an answer compete", after="gap"),
        markdown=InMarkdown("no answer competes", after="gap"),
        csv=InCsv(_limited("bon_competing")),
        json="bon_competing",
    ),
    Column(
        "maj",
        fills.over_majority,
        heading="\u2212 majority",
        meaning="Paired difference to the majority vote, in points",
        page=OnPage(menu="\u2212 majority"),
        markdown=InMarkdown(limits=True),
        csv=InCsv(_limited("over_majority")),
        json="over_majority",
    ),
    Column(
        "mean",
        fills.over_mean,
        heading="\u2212 mean",
        meaning="Paired difference to the mean, which is what a blind choice gets, in points",
        page=OnPage(menu="\u2212 mean"),
        markdown=InMarkdown(limits=True),
        csv=InCsv(_limited("over_mean")),
        json="over_mean",
    ),
    Column(
        "best",
        fills.over_best,
        heading="\u2212 best",
        meaning="Paired difference to the highest row, in points",
        page=OnPage(menu="\u2212 best"),
        csv=InCsv(_limited("over_best")),
        json="over_best",
    ),
    Column(
        "wmaj",
        fills.wmaj,
        heading="wmaj@{n}",
        meaning="Majority vote weighted by reward",
        page=OnPage(menu="Weighted majority"),
        markdown=InMarkdown(),
        csv=InCsv(_limited("wmaj"), after="bon"),
        json="wmaj",
    ),
    Column(
        "gap",
        fills.gap,
        heading="Gap",
        meaning="Share of the way from the mean to the oracle",
        page=OnPage(menu="Gap"),
        markdown=InMarkdown(),
        csv=InCsv(_limited("gap")),
        json="gap_recovered",
    ),
    Column(
        "p_mean",
        lambda row, scene: number_cell(row.standing.p_mean),
        csv=InCsv(("p_mean_holm",)),
        json="p_mean_holm",
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
        fills.cost,
        heading="Cost",
        meaning="Tokens a candidate; candidates a second and the device, as the submission says",
        page=OnPage(first="asc", menu="Cost"),
        csv=InCsv(("tokens_per_candidate", "candidates", "seconds", "device")),
        json="cost",
    ),
    Column(
        "licence",
        fills.licence,
        heading="Licence, date",
        meaning="Licence of the weights and day of the submission, where the submitter gave them",
        page=OnPage(first="asc", menu="Licence, date", left=True, words=True),
        csv=InCsv(("licence",)),
        json="licence",
    ),
    Column("parameters", fills.parameters, csv=InCsv(("parameters",)), json="parameters"),
    Column("date", fills.date, csv=InCsv(("date",)), json="date"),
    Column("hub", lambda row, scene: Cell(json=hub_link(row.submission) or None), json="hub"),
    Column(
        "base_model",
        lambda row, scene: text_cell(row.submission.base_model),
        csv=InCsv(("base_model",)),
        json="base_model",
    ),
    Column(
        "trained_on",
        fills.trained,
        heading="Trained on",
        markdown=InMarkdown(),
        csv=InCsv(tuple(f"trained_on_{name}" for name in ASKED)),
        json="trained_on",
    ),
    Column(
        "refused",
        fills.refused,
        heading="Refused %",
        meaning="Share of the candidates that the model refused; these lose every comparison",
        page=OnPage(menu="Refused %", after="tier"),
        markdown=InMarkdown(after="gap"),
        csv=InCsv(("refused_share",)),
        json="refused_share",
        over_pools=fills.refused_over_pools,
    ),
    Column("refusals", fills.refusals, csv=InCsv(("refused",)), json="refused"),
    Column(
        "doubts", fills.doubts, heading="Doubts", markdown=InMarkdown(), csv=InCsv(("suspicions",)), json="suspicions"
    ),
    Column("aggregation", lambda row, scene: Cell(json=row.submission.rewards.aggregation), json="aggregation"),
    Column("aggregations", fills.aggregations, json="aggregations"),
    Column("diagnostics", lambda row, scene: Cell(json=diagnostics_json(row.measured)), json="diagnostics"),
    Column("groups", lambda row, scene: Cell(json=groups_json(row.measured)), json="groups"),
)

# the columns of each output with their forms there, in the order of that output
PAGE = in_order(COLUMNS, lambda column: column.page)
MARKDOWN = in_order(COLUMNS, lambda column: column.markdown)
CSV = in_order(COLUMNS, lambda column: column.csv)

_BY_KEY = {column.key: column for column in COLUMNS}
# the columns of the overview of all pools: those of a model, and those of a model on each pool
OVERVIEW_NAMES = (_BY_KEY["model"], _BY_KEY["tier"], _BY_KEY["refused"], _BY_KEY["kind"])
OVERVIEW = (_BY_KEY["bon"], _BY_KEY["rank"])
