"""The Task class of step-level benchmarks: does a critic, or a reward model, find the first wrong step?

Two ways to be judged, one set of measures (:mod:`prm_eval.evaluation.stepwise`):

* a critic: the language model that lm_eval runs is asked about each solution (``votes`` times) and names the step;
* a reward model: ``--model dummy --metadata prm_model=...``; nothing is generated, the given steps are scored (an ORM,
  as ``orm_model=...``, by the beginnings of a solution).

The first task of a run whose answers are filtered judges those of all tasks of its suite
(:mod:`prm_eval.harness.step_run`); what lm_eval aggregates are those figures. A critic's answers are kept in a journal
as they come, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
from lm_eval.api.task import ConfigurableTask

from prm_eval.errors import PrmEvalError, SamplingError
from prm_eval.evaluation.stepwise.placing import placing_model
from prm_eval.harness import guards
from prm_eval.harness.critics import judge
from prm_eval.harness.journal_hook import nothing_to_ask, unhook
from prm_eval.harness.metadata import without_effect
from prm_eval.harness.options import PLAIN_KEYS
from prm_eval.harness.policy_identity import unwrapped
from prm_eval.harness.said import speak_in_lm_eval
from prm_eval.harness.step_docs import Labelled, of_dataset, of_files
from prm_eval.harness.step_figures import (
    LOWER_IS_BETTER,
    Figures,
    metric_names,
    of_prmbench,
    of_processbench,
)
from prm_eval.harness.step_options import STEP_KEYS, StepOptions, as_metadata, read_step_options
from prm_eval.harness.step_run import Part, StepRun, require_fitting, run_steps
from prm_eval.harness.task_journal import TaskJournal
from prm_eval.importers.steps import STEP_FORMATS
from prm_eval.importers.steps.found import Wanted
from prm_eval.pools.format import software_versions
from prm_eval.rewards import RewardModel, how_fed
from prm_eval.rewards.models.prefixes import PrefixScores
from prm_eval.texts.names import short_names

logger = logging.getLogger(__name__)

VOTING = {"do_sample": True, "temperature": 1.0, "top_p": 0.9}
"""How answers are sampled where several vote, as in ProcessBench's script (for most models)."""


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float | None]:
    """Return what lm_eval logs of one solution under the names of the metrics; figures are of all solutions."""
    metrics: dict[str, float | None] = json.loads(results[0])["metrics"]
    return metrics


class StepTask(ConfigurableTask):
    """A step-level benchmark, or a subset of one.

    Options come from ``--metadata`` (:mod:`prm_eval.harness.step_options`).

    Raises:
        PrmEvalError: An option is not known or has no meaning, or the solutions cannot be loaded.
    """

    dataset: Any

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        speak_in_lm_eval()
        settings = {key: value for key, value in (config or {}).items() if key != "class"}
        metadata = dict(settings.get("metadata") or {})
        self.options: StepOptions = read_step_options(metadata)
        if useless := without_effect(metadata, {*PLAIN_KEYS} - {*STEP_KEYS}, "best-of-N tasks"):
            logger.warning("%s: %s", settings.get("task"), useless)
        self.form = STEP_FORMATS[self.options.plain.suite]
        self.filter_name = self.options.judged_by
        self.votes = self.options.plain.votes
        self.model: RewardModel | None = None
        self.language_model: Any = None
        self.journal: TaskJournal | None = None
        self.run: StepRun | None = None
        self.figures: Figures | None = None
        metadata["prm_eval"] = {"versions": software_versions("lm_eval", "torch", "transformers")}
        names = metric_names(self.options.plain.suite, self.filter_name)
        settings |= {
            "metadata": metadata,
            "repeats": self.votes,
            "process_results": process_results,
            "metric_list": [
                {"metric": name, "aggregation": "mean", "higher_is_better": name not in LOWER_IS_BETTER}
                for name in names
            ],
            "filter_list": [{"name": self.filter_name, "filter": [{"function": "take_first"}]}],
        }
        if self.votes > 1:
            settings["generation_kwargs"] = {**(settings.get("generation_kwargs") or {}), **VOTING}
        super().__init__(config=settings)

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Load the labelled solutions, from the file that ``problems=`` names or as the YAML says.

        Raises:
            PrmEvalError: They cannot be loaded.
        """
        plain = self.options.plain
        wanted = Wanted(strip_numbers=plain.strip_numbers)
        if plain.problems is not None:
            self.labelled: Labelled = of_files(plain.problems, self.form, plain.subset, wanted)
        else:
            about = {"dataset": self.DATASET_PATH, "split": self.config.test_split, **(dataset_kwargs or {})}
            try:
                super().download(dataset_kwargs)
                rows = self.dataset[self.config.test_split]
            except Exception as error:
                # datasets raises a dozen types here (connection, missing split): each means that no rows came
                raise PrmEvalError(
                    f"the dataset {self.DATASET_PATH} ({self.config.test_split}) cannot be loaded: {error}. Without a "
                    "network, give a local file: --metadata problems=FILE.jsonl"
                ) from error
            self.labelled = of_dataset(rows, self.form, plain.subset, wanted, about)
        self.dataset = {str(self.config.test_split): datasets.Dataset.from_list(self.labelled.docs())}

    @property
    def _predict_only(self) -> bool:
        return "bypass" in self._metric_fn_list

    def _of_this_run(self, scope: Mapping[str, Any]) -> list[StepTask]:
        """Return the tasks of this suite in the run that a scope of lm_eval's ``evaluate`` is of, in their order."""
        tasks = [each.get("task") for each in scope.get("eval_results_acc", {}).values()]
        found = [
            each
            for each in tasks
            if isinstance(each, StepTask) and each.options.plain.suite == self.options.plain.suite
        ]
        return found if self in found else [self]

    def build_all_requests(self, **kwargs: Any) -> None:
        """Build requests, after checking everything that can be checked before a model is asked.

        Raises:
            PrmEvalError: The reward model cannot be loaded, the answers would be copies of one, a threshold is to be
                chosen on solutions that are not there, or the run has several ranks.
        """
        guards.check_request_cache(bool(kwargs.get("cache_requests")))
        scope = guards.calling_scope()
        self.language_model = scope.get("lm")
        siblings = self._of_this_run(scope)
        if int(kwargs.get("world_size", 1)) > 1:
            raise PrmEvalError(
                f"{self.config.task} runs in one process: F1 is of all solutions together. Put a critic behind a "
                "server, or use --model vllm with data_parallel_size"
            )
        self._require_chosen(siblings)
        if self.options.model is not None:
            others = (each.model for each in siblings if each.model is not None)
            self.model = None if self._predict_only else next(others, None) or self._load_model()
        else:
            self._check_critic()
        super().build_all_requests(**kwargs)
        if self is siblings[-1]:
            self._require_folder(siblings, scope)
        if self.options.model is not None:
            self._ask_nothing()
        elif self.language_model is not None:
            self._go_on()

    def _require_chosen(self, siblings: Sequence[StepTask]) -> None:
        on = self.options.ask.on
        groups = {str(each.solution.group) for task in siblings for each in task.labelled.found}
        if on and on not in groups:
            suite = self.options.plain.suite
            raise PrmEvalError(
                f"threshold={self.options.plain.threshold}: this run has solutions of {', '.join(sorted(groups))} "
                f"only, so none can be chosen there. Run the whole group (--tasks {suite}), or give the number"
            )

    def _require_folder(self, siblings: Sequence[StepTask], scope: Mapping[str, Any]) -> None:
        """Refuse a folder for the step set that cannot take it, now that all solutions of the run are known.

        Raises:
            PrmEvalError: There are other solutions, or another benchmark in this run wants the same folder.
        """
        folder = self.options.plain.step_set
        if folder is None:
            return
        tasks = [each.get("task") for each in scope.get("eval_results_acc", {}).values()]
        suites = {each.options.plain.suite for each in tasks if isinstance(each, StepTask)}
        if len(suites) > 1:
            raise PrmEvalError(f"step_set={folder} takes one benchmark; run {' and '.join(sorted(suites))} apart")
        require_fitting(Path(folder), [Part(task.labelled, task._asked) for task in siblings], self.form)

    def _load_model(self) -> RewardModel:
        role, name = self.options.judged_by, str(self.options.model)
        try:
            model = placing_model(name, self.options.model_options)
        except PrmEvalError as error:
            raise as_metadata(error, role) from None
        kind = "orm" if isinstance(model, PrefixScores) else "prm"
        if kind != role:
            raise PrmEvalError(
                f"{role}_model={name} is a{'n' if kind == 'orm' else ''} {kind.upper()}; give it as {kind}_model"
            )
        if fed := how_fed(model):
            logger.info("%s_model=%s is fed by the recipe %s", role, model.name, fed)
        if kind == "orm":
            logger.info("the ORM reads every beginning of a solution: one number a step")
        return model

    def _ask_nothing(self) -> None:
        for instance in self._instances:
            instance.repeats = 0
        if self.language_model is None or _is_dummy(self.language_model):
            return
        nothing_to_ask(self.language_model)
        logger.warning(
            "%s: %s judges the given steps, and %s is asked nothing. Leave the reward model out to make it the critic; "
            "use --model dummy to load none",
            self.config.task, self.options.model, type(unwrapped(self.language_model)).__name__,
        )  # fmt: skip

    def _check_critic(self) -> None:
        """Refuse a critic that says nothing, or the same thing for every vote.

        Raises:
            PrmEvalError: ``--model dummy`` without a reward model.
            SamplingError: Several votes that would be copies of one.
        """
        if _is_dummy(self.language_model) and not self._predict_only:
            raise PrmEvalError(
                f"{self.config.task}: --model dummy says nothing. Name a reward model (--metadata prm_model=...), or a "
                "critic (--model hf, --model local-chat-completions, ...)"
            )
        given = dict(self.config.generation_kwargs or {})
        if self.votes == 1:
            return
        temperature = given.get("temperature")
        if given.get("do_sample") is not True or (temperature is not None and float(temperature) == 0.0):
            raise SamplingError(
                f"votes={self.votes}, but do_sample={given.get('do_sample')} and temperature={temperature} give the "
                f"same answer {self.votes} times. Leave both as the task has them, or use votes=1"
            )
        if guards.sends_one_seed(self.language_model) and given.get("seed", "unset") is not None:
            raise SamplingError(
                f"{type(unwrapped(self.language_model)).__name__} sends one seed with every request, so a server that "
                f"honours seeds gives the same answer {self.votes} times. Add: --gen_kwargs seed=None"
            )

    def _go_on(self) -> None:
        """Fill in the answers that an interrupted run of this task left, and keep new ones from here on."""
        metadata = {key: value for key, value in (self.config.metadata or {}).items() if key not in STEP_KEYS}
        self.journal = TaskJournal(
            str(self.config.task),
            Path(self.options.plain.dump_dir) / str(self.config.task),
            self.language_model,
            metadata,
            self.config.generation_kwargs or {},
            n=self.votes,
            rank=0,
            world_size=1,
        )
        self.journal.fill(self._instances)

    def apply_filters(self) -> list[Any] | None:
        """Judge the solutions of all tasks of this run; every instance gets what was said of it as one JSON text."""
        if self._predict_only:
            for instance in self._instances:
                instance.filtered_resps["none"] = instance.resps[0] if instance.resps else ""
            self._let_the_journal_go()
            return None
        if self.run is None:
            siblings = self._of_this_run(guards.calling_scope())
            self._judge(siblings)
        if self.run is None or self.figures is None:
            raise PrmEvalError(f"{self.config.task} was not judged")
        said = self.run.said()
        answers = {each.solution_id: each for each in self._part().judged}
        for instance in self._instances:
            name = instance.doc["problem_id"]
            read = [one and one.text for one in answers[name].answers] if name in answers else None
            told = said[name] if read is None else {**said[name], "answers": read}
            instance.filtered_resps[self.filter_name] = json.dumps({**told, "metrics": self._of_one(said[name])})
        self._let_the_journal_go()
        return None

    def _judge(self, siblings: Sequence[StepTask]) -> None:
        for task in siblings:
            if task.journal is not None:  # all answers are there
                unhook(task.language_model, task.journal.task)
        run = run_steps(
            [task._part() for task in siblings], self.options, self.form, model=self.model, critic=self._critic_name()
        )
        found = [task._figures_of(run) for task in siblings]
        empty = {
            task.options.plain.subset: each.not_defined["f1"]
            for task, each in zip(siblings, found, strict=True)
            if "f1" in each.not_defined
        }
        if empty and len(siblings) > 1:  # a mean of those that are left would not be the mean of the group
            reasons = "; ".join(f"{name}: {reason}" for name, reason in empty.items())
            found = [each.without("f1", reasons) for each in found]
        for task, each in zip(siblings, found, strict=True):
            task.run, task.figures = run, each
            task._record(run, each)

    @property
    def _asked(self) -> tuple[str, ...]:
        return tuple(instance.doc["problem_id"] for instance in self._instances)

    def _part(self) -> Part:
        if self.model is not None:
            return Part(self.labelled, self._asked)
        judged = (
            judge(
                instance.doc["problem_id"],
                len(instance.doc["steps"]),
                [str(text) for text in instance.resps[: self.votes]],
                self.options.reading,
            )
            for instance in self._instances
        )
        return Part(self.labelled, self._asked, tuple(judged))

    def _critic_name(self) -> str:
        metadata, model = self.config.metadata or {}, unwrapped(self.language_model)
        given = [metadata.get(key) for key in ("pretrained", "model", "path")]
        given += [getattr(model, key, None) for key in ("pretrained", "model")]
        name = next((each for each in given if isinstance(each, str) and each), None)
        return short_names([name])[name] if name else type(model).__name__

    def _figures_of(self, run: StepRun) -> Figures:
        measured = run.measured(self.options.plain.subset)
        if self.options.plain.suite == "prmbench" and run.row.prmbench is not None:
            return of_prmbench(run.row.prmbench, measured)
        return of_processbench(measured)

    def _record(self, run: StepRun, figures: Figures) -> None:
        self.config.metadata["prm_eval"] |= run.record | {
            "figures": run.as_json(self.options.plain.subset),
            "not_defined": figures.not_defined,
            "missing": self.options.missing,
        }
        if figures.not_defined:
            left = "; ".join(f"{name} ({reason})" for name, reason in figures.not_defined.items())
            logger.warning("%s: left out of the results, for they are not defined: %s", self.config.task, left)

    def _of_one(self, said: Mapping[str, Any]) -> dict[str, float | None]:
        """Return what is logged of one solution under each metric: a match where that means something."""
        wrong, missing = said["first_error"] != -1, said["prediction"] is None
        match = float(not missing and said["prediction"] == said["first_error"])
        of_one = {"f1": match, "error_acc": match if wrong else None, "correct_acc": None if wrong else match}
        values = self.figures.values if self.figures is not None else {}
        if self.options.plain.suite == "prmbench":
            of_one = {}
        return {name: of_one.get(name) for name in values} | {"not_scored": float(missing)}

    def aggregation(self) -> dict[str, Callable[[Any], float]]:
        """Return, for each metric, a function that gives the figure of all solutions together."""
        if self.figures is None:
            found: dict[str, Callable[[Any], float]] = super().aggregation()
            return found
        return {name: _always(value) for name, value in self.figures.values.items()}

    def _let_the_journal_go(self) -> None:
        if self.journal is not None:
            unhook(self.language_model, self.journal.task)
            self.journal.finish()


def _always(value: float) -> Callable[[Any], float]:
    return lambda items: value


def _is_dummy(model: Any) -> bool:
    from lm_eval.models.dummy import DummyLM

    return isinstance(unwrapped(model), DummyLM)
