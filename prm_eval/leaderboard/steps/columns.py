"""The columns of the board of a step set: one table, from which page, Markdown, CSV and JSON are made.

Those of a set's groups differ from set to set, so the table is made for a board. The keys are also the names that the
style sheet knows: "bon" is its name for the figure that rows are ordered by, whatever the figure is.
"""

from __future__ import annotations

from prm_eval.leaderboard import fills as common
from prm_eval.leaderboard.cells import ASKED, Cell, text_cell
from prm_eval.leaderboard.layout import Column, InCsv, InMarkdown, OnPage
from prm_eval.leaderboard.links import hub_link
from prm_eval.leaderboard.steps import fills
from prm_eval.leaderboard.steps.fills import Rule, StepScene
from prm_eval.leaderboard.steps.rows import StepBoard, StepEntry
from prm_eval.leaderboard.words import plain_markdown

StepColumn = Column[StepEntry, Rule, StepScene]

MOST_GROUPS = 12
MEANINGS = {
    "mean_f1": "Mean over the groups of F1: the harmonic mean of error accuracy and correct accuracy",
    "f1": "F1: the harmonic mean of error accuracy and correct accuracy",
    "prm_score": "PRMScore: the mean of F1 of the good steps and F1 of the bad steps, over all steps",
    "step_auc": "How often a good step has a higher score than a bad one",
}


def columns_of(board: StepBoard) -> tuple[StepColumn, ...]:
    """Return the columns of a board; the cells of its rows are filled with a :class:`.fills.StepScene`."""
    headline = board.yardstick.headline
    first = board.yardstick.rules[0]
    groups = fills.group_names(first, headline)[:MOST_GROUPS]
    of_groups = tuple(
        StepColumn(
            f"g{place}",
            fills.group(name),
            fills.group(name),
            # no field for the headline n, whatever a group is called
            heading=heading.replace("{", "(").replace("}", ")")[:24],
            meaning=fills.group_title(name, first.groups[name], headline).replace("{", "(").replace("}", ")"),
            page=OnPage(menu=heading),
            markdown=InMarkdown(plain_markdown(heading)),
        )
        for place, (name, heading) in enumerate(groups)
    )
    strict = board.yardstick.bench.is_prmbench
    return (*_names(), _threshold(strict), *of_groups, *_headline(headline), *_shares(), *_rest())


def _names() -> tuple[StepColumn, ...]:
    return (
        StepColumn("pool", fills.pool, fills.pool, csv=InCsv(("step_set",))),
        StepColumn("measure", fills.measure, fills.measure, csv=InCsv(("measure",))),
        StepColumn(
            "rank",
            fills.rank,
            heading="Rank",
            meaning="All ranges of this table hold at once, with 95 % confidence; rules have none",
            page=OnPage(first="asc", menu="Rank", after="model"),
            markdown=InMarkdown(),
            csv=InCsv(("rank",)),
            json="rank",
        ),
        StepColumn("org", lambda row, scene: text_cell(row.submission.org), json="org"),
        StepColumn(
            "model",
            common.model,
            fills.rule_name,
            heading="Model",
            page=OnPage("name", first="asc", words=True),
            markdown=InMarkdown(),
            csv=InCsv(("model",)),
            json="model",
        ),
        StepColumn("page", lambda row, scene: Cell(json=common.page_of(row)), json="page"),
        StepColumn(
            "revision", lambda row, scene: text_cell(row.submission.revision), csv=InCsv(("revision",)), json="revision"
        ),
        StepColumn(
            "tier",
            fills.tier,
            common.baseline_tier,
            heading="Trust",
            meaning="How far the scores were verified, and what speaks against the row",
            page=OnPage("flags", menu="Trust", left=True, after="rank"),
            markdown=InMarkdown("tier"),
            csv=InCsv(("tier",)),
            json="tier",
        ),
    )


def _threshold(strict: bool) -> StepColumn:
    called = "good only if its score is above" if strict else "wrong if its score is below"
    return StepColumn(
        "threshold",
        fills.threshold,
        fills.rule_threshold,
        heading="Good above" if strict else "Wrong below",
        meaning=f"A step is called {called} this; declared beforehand, the recipe\u2019s own, or 0.5 on probabilities",
        page=OnPage(menu="Threshold"),
        markdown=InMarkdown(),
        csv=InCsv(("threshold", "threshold_origin")),
        json="threshold",
    )


def _shares() -> tuple[StepColumn, ...]:
    shares = (
        ("error", "Error acc", "Solutions with a wrong step whose first wrong step is named", fills.error_acc),
        ("correct", "Correct acc", "Solutions without a wrong step that are called right", fills.correct_acc),
        ("auc", "Step AUC", "How often a good step has a higher score than a bad one", fills.step_auc),
        ("ece", "ECE", "Mean distance of scores from the observed share of good steps", fills.ece),
        (
            "lowest",
            "Lowest is first",
            "Solutions with a wrong step whose lowest score is at the first one; it needs no threshold",
            fills.lowest_is_first,
        ),
    )
    names = ("error_acc", "correct_acc", "step_auc", "ece", "lowest_is_first_error")
    made = [
        StepColumn(
            key,
            fills.share(of),
            fills.share(of),
            heading=heading,
            meaning=meaning,
            page=OnPage(menu=heading, first="asc" if key == "ece" else "desc"),
            markdown=InMarkdown(heading[0].lower() + heading[1:] if heading != "ECE" else heading),
            csv=InCsv((name,)),
            json=name,
        )
        for (key, heading, meaning, of), name in zip(shares, names, strict=True)
    ]
    not_scored = StepColumn(
        "refused",
        fills.not_scored,
        fills.not_scored,
        heading="Not scored",
        meaning="Solutions without a score for each of their steps; never a match",
        page=OnPage(menu="Not scored"),
        markdown=InMarkdown(),
        csv=InCsv(("not_scored",)),
        json="not_scored",
    )
    return (*made, not_scored)


def _headline(headline: str) -> tuple[StepColumn, ...]:
    return (
        StepColumn(
            "bon",
            fills.headline,
            fills.headline,
            heading=fills.heading_of(headline),
            meaning=f"{MEANINGS[headline]}; rows are ordered by it",
            page=OnPage("chart"),
            markdown=InMarkdown(fills.heading_of(headline), limits=True),
            csv=InCsv(("headline", "headline_low", "headline_high")),
            json="headline",
        ),
        StepColumn(
            "rule",
            fills.to_rule,
            heading="\u2212 best rule",
            meaning="Paired difference to the best rule without a model, in points",
            page=OnPage(menu="\u2212 best rule"),
            markdown=InMarkdown(limits=True),
            csv=InCsv(("over_rule", "over_rule_low", "over_rule_high")),
            json="over_best_rule",
        ),
        StepColumn(
            "prule",
            fills.p_to_rule,
            heading="p",
            meaning="Of the difference to the best rule, adjusted for all rows (Holm)",
            page=OnPage(first="asc", menu="p"),
            markdown=InMarkdown("p (Holm)"),
            csv=InCsv(("p_rule_holm",)),
            json="p_rule_holm",
        ),
    )


def _rest() -> tuple[StepColumn, ...]:
    return (
        StepColumn("groups", fills.groups, fills.groups, csv=InCsv(("groups",)), json="groups"),
        StepColumn(
            "licence",
            common.licence,
            heading="Licence, date",
            meaning="Licence of the weights and day of the submission, where the submitter gave them",
            page=OnPage(first="asc", menu="Licence, date", left=True, words=True),
            csv=InCsv(("licence",)),
            json="licence",
        ),
        StepColumn("parameters", common.parameters, csv=InCsv(("parameters",)), json="parameters"),
        StepColumn("date", common.date, csv=InCsv(("date",)), json="date"),
        StepColumn("hub", lambda row, scene: Cell(json=hub_link(row.submission) or None), json="hub"),
        StepColumn(
            "trained_on",
            common.trained,
            heading="Trained on",
            markdown=InMarkdown(),
            csv=InCsv(tuple(f"trained_on_{name}" for name in ASKED)),
            json="trained_on",
        ),
        StepColumn(
            "doubts",
            common.doubts,
            heading="Doubts",
            markdown=InMarkdown(),
            csv=InCsv(("suspicions",)),
            json="suspicions",
        ),
    )
