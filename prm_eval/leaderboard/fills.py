"""The functions that fill the cells of the board's columns (:data:`prm_eval.leaderboard.columns.COLUMNS`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prm_eval.evaluation.baselines import BASELINES
from prm_eval.leaderboard.cells import (
    ASKED,
    MARKS,
    Cell,
    Flag,
    Listed,
    accuracy_cell,
    curve_json,
    difference_cell,
    interval_json,
    sort_key,
    text_cell,
    trained_on,
)
from prm_eval.leaderboard.layout import Reference, Scene
from prm_eval.leaderboard.links import hub_link
from prm_eval.leaderboard.rows import Entry
from prm_eval.leaderboard.words import counted, grouped, percent, rounded, size, span
from prm_eval.submissions import TIERS, Tier

# the resolution of the clock; a shorter time is no measurement
LEAST_SECONDS = 1e-3

# one model on several pools: (title of the pool, the submission there)
Places = Sequence[tuple[str, Entry]]


# --- who it is --------------------------------------------------------------------------------------------------------


def short_revision(revision: str) -> str:
    """Return the first digits of a revision, with the prefix that says its kind."""
    return revision[:8] if len(revision) == 40 else revision[:15]


def page_of(row: Listed) -> str:
    """Return the address of a submission's page, seen from the index page."""
    return f"submissions/{row.slug}.html"


def model(row: Listed, scene: object) -> Cell:
    """Return the cell of the model's name, with its page and its place on the hub."""
    submission = row.submission
    return Cell(
        submission.model,
        sort=submission.model.lower(),
        foreign=True,
        notes=(submission.org, short_revision(submission.revision)),
        link=page_of(row),
        hub=hub_link(submission),
        markdown=row.name,
        csv=(row.name,),
        json=submission.model,
    )


def baseline_model(row: Reference, scene: Scene) -> Cell:
    """Return the cell of a baseline's name."""
    name = BASELINES[row.name]
    return Cell(name.short, title=name.about, notes=(name.about,), markdown=f"*{name.short}*", csv=(row.name,))


def kind(row: Entry, scene: Scene) -> Cell:
    """Return the cell of the kind of model, with its size under it."""
    found = row.submission.rewards.info.kind
    return Cell(found.upper(), sort=found.upper(), notes=_size(row), csv=(found,), json=found)


def _size(row: Listed) -> tuple[str, ...]:
    if row.submission.revision.startswith("rule-"):
        return ("a rule",)
    disclosure = row.submission.disclosure
    return () if disclosure is None or disclosure.parameters is None else (size(disclosure.parameters),)


def baseline_kind(row: Reference, scene: Scene) -> Cell:
    """Return the cell of the kind of a baseline."""
    return Cell("\u2013", markdown="baseline", csv=("baseline",))


def parameters(row: Listed, scene: object) -> Cell:
    """Return the cell of the number of parameters, as the submitter says."""
    found = None if row.submission.disclosure is None else row.submission.disclosure.parameters
    return Cell(csv=(found,), json=found)


def licence(row: Listed, scene: object) -> Cell:
    """Return the cell of the licence, with the date of the submission under it."""
    found, disclosure = row.submission.licence, row.submission.disclosure
    notes = () if disclosure is None or disclosure.date is None else (disclosure.date,)
    return Cell(found or "", sort=(found or "").lower(), foreign=True, notes=notes, csv=(found,), json=found)


def date(row: Listed, scene: object) -> Cell:
    """Return the cell of the date of the submission, as the submitter says."""
    return text_cell(None if row.submission.disclosure is None else row.submission.disclosure.date)


# --- whether to believe it --------------------------------------------------------------------------------------------


def tier(row: Listed, scene: object) -> Cell:
    """Return the tier, with flags for the reasons against the row: doubts first, then training data."""
    return tier_cell(row, TIERS)


def tier_cell(row: Listed, told: Mapping[Tier, str]) -> Cell:
    """Return the cell of :func:`tier`; ``told`` says what each tier can and cannot rule out."""
    found = row.submission.tier
    trained = trained_on(row.submission.disclosure)
    doubts = [each.text for each in row.suspicions]
    flags = [_doubts_flag(len(doubts), "; ".join(doubts), page_of(row))] if doubts else []
    weight = 100 * len(doubts) + sum(10 if answer == "yes" else 1 for _, _, answer in trained)
    return Cell(
        found,
        sort=f"{list(MARKS).index(found)}.{9999 - weight:04d}",
        title=told[found],
        mark=MARKS[found],
        flags=(*flags, *_trained_flags(row)),
        markdown=MARKS[found],
        csv=(found,),
        json=found,
    )


def _doubts_flag(count: int, text: str, link: str, where: str = "") -> Flag:
    return Flag(f"\u2691 {counted(count, 'doubt')}{where}", text, True, f"{link}#doubts")


def _trained_flags(row: Listed) -> list[Flag]:
    return [
        Flag(f"saw {short}", f"Trained on {long}", True)
        if answer == "yes"
        else Flag(f"{short}?", f"Perhaps trained on {long}", False)
        for short, long, answer in trained_on(row.submission.disclosure)
    ]


def tier_over_pools(places: Places) -> Cell:
    """Return the lowest tier of a model over its pools, with a flag where there are doubts on any of them."""
    order = list(MARKS)
    found = min((entry.submission.tier for _, entry in places), key=order.index)
    equal = {entry.submission.tier for _, entry in places} == {found}
    doubted = [(title, entry) for title, entry in places if entry.suspicions]
    flags: list[Flag] = []
    if doubted:
        texts = "; ".join(f"{title}: {each.text}" for title, entry in doubted for each in entry.suspicions)
        most, worst = max(((len(entry.suspicions), entry) for _, entry in doubted), key=lambda pair: pair[0])
        where = "" if len(doubted) == len(places) else f" on {counted(len(doubted), 'pool')}"
        flags.append(_doubts_flag(most, texts, page_of(worst), where))
    for _, entry in places:
        flags += [flag for flag in _trained_flags(entry) if flag not in flags]
    told = "; ".join(f"{title}: {entry.submission.tier}" for title, entry in places)
    return Cell(found if equal else f"{found} or better", title=told, mark=MARKS[found], flags=tuple(flags))


def baseline_tier(row: object, scene: object) -> Cell:
    """Return the tier of a baseline."""
    return Cell("baseline", mark=MARKS["baseline"], markdown=MARKS["baseline"], csv=("baseline",))


def refused(row: Entry, scene: Scene) -> Cell:
    """Return the share of refused candidates in per cent."""
    count, of = sum(row.measured.refusals.values()), row.measured.candidates
    share = count / of
    return Cell(
        _refused_text(share),
        sort=sort_key(share),
        title=f"{grouped(count)} of {grouped(of)} candidates",
        csv=(share,),
        json=rounded(share),
    )


def _refused_text(share: float) -> str:
    """Return a share in per cent; a small one is never shown as 0."""
    return "0" if not share else "< 0.1" if share < 0.001 else percent(share)


def refused_over_pools(places: Places) -> Cell:
    """Return the largest share of refused candidates of a model over its pools."""
    shares = [sum(entry.measured.refusals.values()) / entry.measured.candidates for _, entry in places]
    told = "; ".join(f"{title}: {_refused_text(share)}" for (title, _), share in zip(places, shares, strict=True))
    least, most = min(shares), max(shares)
    return Cell(_refused_text(most) if least == most else f"up to {_refused_text(most)}", title=told)


def refusals(row: Entry, scene: Scene) -> Cell:
    """Return the cell of the refused candidates by reason, for programs."""
    return Cell(csv=(sum(row.measured.refusals.values()),), json=row.measured.refusals)


def doubts(row: Listed, scene: object) -> Cell:
    """Return the cell of the suspicions about the rewards."""
    found = row.suspicions
    return Cell(
        str(len(found)) if found else "",
        csv=("; ".join(each.name for each in found),),
        json=[{"name": each.name, "text": each.text, "value": rounded(each.value)} for each in found],
    )


def trained(row: Listed, scene: object) -> Cell:
    """Return the cell of what the submitter did not deny about training data."""
    disclosure = row.submission.disclosure
    found = trained_on(disclosure)
    answers = {name: getattr(disclosure.trained_on, name) for name in ASKED} if disclosure else None
    return Cell(
        ", ".join(short + ("?" if answer == "unknown" else "") for short, _, answer in found),
        csv=tuple(answers.values()) if answers else (),
        json=answers,
    )


# --- how good it is ---------------------------------------------------------------------------------------------------


def rank(row: Entry, scene: Scene) -> Cell:
    """Return the cell of the range of ranks."""
    best, worst = row.standing.best, row.standing.worst
    text = span(best, worst)
    return Cell(text, sort=f"{best}.{worst:04d}", csv=(text.replace("\u2013", "-"),), json=[best, worst])


def bon(row: Entry, scene: Scene) -> Cell:
    """Return the cell of best of n."""
    curve, settings = row.measured.bon, scene.settings
    return accuracy_cell(curve, settings.column, chart=scene.chart(curve), json=curve_json(curve, settings.ns))


def competing(row: Entry, scene: Scene) -> Cell:
    """Return the cell of best of n if candidates without an answer competed; for people only where that matters."""
    curve, settings = row.measured.competing, scene.settings
    if curve is None:
        return Cell()
    cell = accuracy_cell(curve, settings.column, json=curve_json(curve, settings.ns))
    return cell if row.measured.depends_on_the_running else Cell(csv=cell.csv, json=cell.json)


def baseline_bon(row: Reference, scene: Scene) -> Cell:
    """Return the cell of a baseline's accuracy."""
    curve = row.measured.curve
    return accuracy_cell(curve, scene.settings.column, chart=scene.chart(curve))


def over_majority(row: Entry, scene: Scene) -> Cell:
    """Return the cell of the difference to the majority vote."""
    return difference_cell(row.standing.over_majority, row.standing.p_majority)


def over_mean(row: Entry, scene: Scene) -> Cell:
    """Return the cell of the difference to the mean."""
    return difference_cell(row.standing.over_mean, row.standing.p_mean)


def over_best(row: Entry, scene: Scene) -> Cell:
    """Return the cell of the difference to the highest row."""
    return difference_cell(row.standing.over_best, row.standing.p_best)


def wmaj(row: Entry, scene: Scene) -> Cell:
    """Return the cell of the weighted majority."""
    curve, settings = row.measured.wmaj, scene.settings
    return accuracy_cell(curve, settings.column, json=curve_json(curve, settings.ns))


def gap(row: Entry, scene: Scene) -> Cell:
    """Return the cell of the share of the way from the mean to the oracle."""
    found = row.standing.gap
    if found is None:
        return Cell()
    low, high = percent(found.low, 0), percent(found.high, 0)
    values = (found.value, found.low, found.high)
    text = f"{percent(found.value, 0)} %"
    return Cell(text, low, high, sort_key(found.value), csv=values, json=interval_json(found))


def aggregations(row: Entry, scene: Scene) -> Cell:
    """Return the cell of best of n by every aggregation, for programs."""
    tried = row.measured.aggregations
    return Cell(json={name: curve_json(curve, scene.settings.ns) for name, curve in tried.items()})


# --- what it costs ----------------------------------------------------------------------------------------------------


def seconds_a_candidate(row: Entry) -> float | None:
    """Return the seconds a candidate took, as the submission says; None where nobody measured them."""
    found = row.submission.cost
    known = found.seconds and found.seconds >= LEAST_SECONDS and found.candidates
    return found.seconds / found.candidates if known and found.seconds else None


def cost(row: Entry, scene: Scene) -> Cell:
    """Return the cell of tokens and speed, with the device under it."""
    tokens, found = row.measured.tokens, row.submission.cost
    parts = [] if tokens is None else [f"{grouped(tokens)} tok"]
    seconds = seconds_a_candidate(row)
    if seconds:
        speed = 1 / seconds
        parts.append(f"{grouped(speed) if speed >= 10 else f'{speed:.2g}'}/s")
    return Cell(
        " \u00b7 ".join(parts),
        sort=sort_key(tokens),
        notes=(found.device,) if found.device else (),
        csv=(tokens, found.candidates, found.seconds, found.device),
        json={
            "candidates": found.candidates,
            "device": found.device,
            "seconds": rounded(found.seconds),
            "tokens_per_candidate": rounded(tokens, 2),
        },
    )


# --- which board ------------------------------------------------------------------------------------------------------


def pool(row: Entry | Reference, scene: Scene) -> Cell:
    """Return the cell of the pool's id, for programs."""
    return Cell(csv=(scene.pool_id,))


def headline(row: Entry | Reference, scene: Scene) -> Cell:
    """Return the cell of the headline n, for programs."""
    return Cell(csv=(scene.settings.headline_n,))
