"""The named problem sets of the hub: where each lies, which of its rows belong to it, and what its columns hold."""

from __future__ import annotations

from dataclasses import dataclass

MATH_SUBJECTS = (
    "algebra",
    "counting_and_probability",
    "geometry",
    "intermediate_algebra",
    "number_theory",
    "prealgebra",
    "precalculus",
)


@dataclass(frozen=True)
class Columns:
    """The names of a set's columns by what they hold; of several names the first that a row has counts.

    What is not named here, or not in the row under these names, is read in the usual spellings
    (:func:`prm_eval.pools.problem_rows.problem_from_row`).

    Attributes:
        statement: The statement; a column ``query`` is AGIEval's, with the choices and the cue for the answer.
        answer: The gold answer: a text, a number, or a list of the parts of one answer. Of a question with choices:
            a letter, the index of the right choice, or its text.
        name: The problem's id.
        source: What the ids are unique within, where they are not unique in the whole set.
        subject: The subject, or the first of a list of subjects.
        context: A text that stands before the statement, where there is one.
        choices: The texts of the choices, in order.
        right: The right choice, where each choice has its column; the order of the choices then follows their hashes.
        wrong: The columns of the wrong ones.
        unit: The unit of the answer, perhaps with a power of ten that the answer is to be multiplied with.
    """

    statement: tuple[str, ...] = ()
    answer: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    source: tuple[str, ...] = ("source", "data_source")
    subject: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    right: str = ""
    wrong: tuple[str, ...] = ()
    unit: tuple[str, ...] = ()


USUAL = Columns(choices=("choices",), unit=("unit",))
"""The columns of a file, and of a dataset that has no name here."""


@dataclass(frozen=True)
class HubSet:
    """The place of a named problem set on the hub, and how its rows are read.

    Attributes:
        dataset: ``owner/name`` on the hub.
        config: The configuration (subset) of the dataset.
        split: The split.
        revision: The commit that is read unless another is asked for; None means the newest.
        columns: What the columns hold.
        where: A column, and the values of it that belong to the set; other rows are left out.
    """

    dataset: str
    config: str | None = None
    split: str = "test"
    revision: str | None = None
    columns: Columns = USUAL
    where: tuple[str, tuple[str, ...]] | None = None

    @property
    def rows(self) -> str:
        """The rows that belong to the set, in words."""
        return f"{self.where[0]} = {' or '.join(self.where[1])}" if self.where else "all"

    @property
    def place(self) -> str:
        """The set as ``owner/name[:config]:split``."""
        return ":".join(part for part in (self.dataset, self.config, self.split) if part)


_SCIBENCH = Columns(
    statement=("problem_text",), answer=("answer_number",), name=("problemid",), subject=("source",), unit=("unit",)
)
_COLLEGE = Columns(statement=("question",), answer=("answer",), name=("question_number",), subject=("data_topic",))
_MMLU = Columns(statement=("question",), answer=("answer",), subject=("subject",), choices=("choices",))


def _scibench(*books: str) -> HubSet:
    return HubSet("xw27/scibench", split="train", columns=_SCIBENCH, where=("source", books) if books else None)


def _college(*topics: str) -> HubSet:
    return HubSet("di-zhang-fdu/College_Math_Test", columns=_COLLEGE, where=("data_topic", topics) if topics else None)


def _mmlu(*subjects: str) -> HubSet:
    commit = "78a4b40757f31688d00426d1372dbbc6070d33a8"
    where = ("subject", subjects) if subjects else None
    return HubSet("TIGER-Lab/MMLU-STEM", revision=commit, columns=_MMLU, where=where)


HUB_SETS = {
    "math500": HubSet("HuggingFaceH4/MATH-500"),
    "gsm8k": HubSet("openai/gsm8k", "main"),
    **{f"math/{subject}": HubSet("EleutherAI/hendrycks_math", subject) for subject in MATH_SUBJECTS},
    "aime24": HubSet(
        "Maxwell-Jia/AIME_2024",
        split="train",
        columns=Columns(statement=("Problem",), answer=("Answer",), name=("ID",)),
    ),
    "aime25": HubSet("math-ai/aime25", columns=Columns(statement=("problem",), answer=("answer",), name=("id",))),
    "amc23": HubSet("math-ai/amc23", columns=Columns(statement=("question",), answer=("answer",), name=("id",))),
    "hmmt25": HubSet(
        "MathArena/hmmt_feb_2025",
        split="train",
        columns=Columns(statement=("problem",), answer=("answer",), name=("problem_idx",), subject=("problem_type",)),
    ),
    # open-ended (OE), text only (TO), of competitions (COMP)
    "olympiadbench": HubSet(
        "Hothan/OlympiadBench",
        "OE_TO_maths_en_COMP",
        "train",
        columns=Columns(
            statement=("question",),
            answer=("final_answer",),
            name=("id",),
            subject=("subfield",),
            context=("context",),
            unit=("unit",),
        ),
    ),
    "minerva_math": HubSet("math-ai/minervamath", columns=Columns(statement=("question",), answer=("answer",))),
    "college_math": _college(),
    "college_math/calculus": _college("college_math.calculus", "college_math.vector_calculus"),
    "gpqa_diamond": HubSet(
        "Idavidrein/gpqa",
        "gpqa_diamond",
        "train",
        columns=Columns(
            statement=("Question",),
            name=("Record ID",),
            subject=("High-level domain",),
            right="Correct Answer",
            wrong=("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"),
        ),
    ),
    "mmlu_stem": _mmlu(),
    "mmlu_stem/chemistry": _mmlu("high_school_chemistry", "college_chemistry"),
    "mmlu_stem/physics": _mmlu("high_school_physics", "college_physics"),
    "sat_math": HubSet(
        "hails/agieval-sat-math", columns=Columns(statement=("query",), answer=("gold",), choices=("choices",))
    ),
    "scibench": _scibench(),
    # the books of each subject: table 1 of Wang et al. 2024 (SciBench)
    "scibench/calculus": _scibench("calculus"),
    "scibench/chemistry": _scibench("atkins", "chemmc", "matter", "quan"),
    "scibench/physics": _scibench("class", "fund", "thermo"),
}
