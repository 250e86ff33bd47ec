"""The Task class, which generates or replays candidates, keeps them on disk, and reports every selector at every n.

The order of steps in a run (for traps see docs/lm_eval.md):

1. ``__init__`` checks options and problems, before hours of generation;
2. ``build_all_requests`` runs the sampling guards and checks reward models without their weights; in a replay it fills
   in the candidates;
3. lm_eval generates, and every candidate goes into the journal as it comes (:mod:`prm_eval.harness.kept`);
4. ``apply_filters`` makes first the pool, then the sampling guard's check, grades, rewards, and for every selector the
   expected accuracies of each problem, which go to ``process_results`` as JSON (lm_eval logs filter results with
   ``str``);
5. the journal is removed.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from lm_eval.api.task import ConfigurableTask

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.curves import Evaluation, checked_ns, evaluate, load_selectors
from prm_eval.grading.pool import load_grader
from prm_eval.harness import guards
from prm_eval.harness.candidates import Replay, dump_candidates, open_replay, replay_hint
from prm_eval.harness.metadata import without_effect
from prm_eval.harness.offload import movable_policy, offloaded
from prm_eval.harness.options import DEFAULT_PIPELINES, DEFAULT_SAMPLES, PLAIN_KEYS, ROLES, Options, read_options
from prm_eval.harness.prompting import check_fit, choose_prompt, doc_to_text, pool_splitter, say_one_step
from prm_eval.harness.provenance import pool_record, prompt_record, sampling_used
from prm_eval.harness.repeats import repeats_warning
from prm_eval.harness.said import say_table, say_verdicts, speak_in_lm_eval
from prm_eval.harness.scoring import grade_if_needed, rewards_for
from prm_eval.harness.step_options import STEP_KEYS
from prm_eval.harness.task_journal import TaskJournal
from prm_eval.pools.format import software_versions
from prm_eval.pools.pool import Pool
from prm_eval.pools.problem_sets import ProblemSet, load_problems
from prm_eval.records import Candidate, Problem
from prm_eval.rewards import RewardModel, how_fed, load_reward_model
from prm_eval.rewards.files.reward_file import NamedRewards
from prm_eval.selection.k_measures import read_k_measures
from prm_eval.texts.steps import base_splitter

logger = logging.getLogger(__name__)

# the filter that reports the k-measures, by the name of the option that asks for them
K_PIPELINE = "k_measures"
PIPELINE_SELECTORS = {
    "orm": "best_of_n",
    "prm": "best_of_n",
    "weighted_orm": "weighted_majority",
    "weighted_prm": "weighted_majority",
}


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Return the metrics of one problem under one pipeline, as ``apply_filters`` computed them."""
    metrics: dict[str, float] = json.loads(results[0])
    return metrics


def _not_the_group_warning(record: logging.LogRecord) -> bool:
    """Return False for lm_eval's warning that ``acc@8:Algebra`` has fewer problems than ``acc@8``, and True for others.

    The group ``math_bon`` aggregates ``acc@n`` only, which every problem has.
    """
    return "Metrics were not scored on the same number" not in record.getMessage()


class BestOfNTask(ConfigurableTask):
    """Best-of-N on a problem set: one filter pipeline per selector, one metric ``acc@n`` per n.

    Options come from ``--metadata`` (:mod:`prm_eval.harness.options`).

    Raises:
        PrmEvalError: An option is not known or has no meaning, or the problems cannot be loaded.
    """

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        speak_in_lm_eval()
        settings = {key: value for key, value in (config or {}).items() if key != "class"}
        metadata = dict(settings.get("metadata") or {})
        self.options: Options = read_options(metadata)
        if useless := without_effect(metadata, {*STEP_KEYS} - {*PLAIN_KEYS}, "step tasks"):
            logger.warning("%s: %s", settings.get("task"), useless)
        self.replay: Replay | None = open_replay(self.options) if self.options.replay else None
        self.problem_set = self._load_problem_set(str(settings.get("task")))
        self.by_id = {problem.problem_id: problem for problem in self.problem_set.problems}
        self.n_samples = self.options.n_samples or (self.replay.pool.info.m if self.replay else DEFAULT_SAMPLES)
        slots = self.replay.pool.info.m if self.replay else self.n_samples
        if self.n_samples > slots:
            raise PrmEvalError(f"n_samples={self.n_samples}, but the replayed pool has {slots} slots a problem")
        # lm_eval's own tasks have a ``prompt``, and it means another thing
        self.asked = choose_prompt(self.options.prompt, settings, self.replay)
        self.ns = checked_ns(self.options.ns, self.n_samples)
        self.pipelines = self._choose_pipelines()
        self.models: dict[str, RewardModel] = {}
        self.world_size = 1
        self.policy: Any = None
        self.language_model: Any = None
        self.journal: TaskJournal | None = None
        self.made_by: dict[str, Any] = {}
        metadata["prm_eval"] = self._provenance()
        settings |= {
            "metadata": metadata,
            "doc_to_text": doc_to_text(self.asked, settings),
            "repeats": self.n_samples,
            "process_results": process_results,
            "metric_list": [
                {"metric": name, "aggregation": "mean", "higher_is_better": True} for name in self._metric_names()
            ],
            "filter_list": [{"name": name, "filter": [{"function": "take_first"}]} for name in self.filters],
        }
        super().__init__(config=settings)

    def _load_problem_set(self, task: str) -> ProblemSet:
        if self.options.problems:
            return load_problems(self.options.problems)
        if self.replay is None:
            raise PrmEvalError(
                f"{task} needs its problems: --metadata problems=FILE.jsonl (or a problem set by name, or replay=POOL)"
            )
        pool = self.replay.pool
        return ProblemSet(str(pool.info.problem_set.get("name")), tuple(pool.problems.values()))

    def _choose_pipelines(self) -> dict[str, tuple[str, str | None]]:
        """Return, for each filter pipeline, its selector and the role of the reward model it uses."""
        names = self.options.pipelines or tuple(
            name
            for name in DEFAULT_PIPELINES
            if name.rpartition("_")[2] not in ROLES or name.rpartition("_")[2] in self.options.models
        )
        chosen: dict[str, tuple[str, str | None]] = {}
        for name in names:
            role = name.rpartition("_")[2] if name.rpartition("_")[2] in ROLES else None
            selector = PIPELINE_SELECTORS.get(name) or (name.rpartition("_")[0] if role else name)
            loaded = load_selectors([selector])[selector]
            if loaded is not None and loaded.needs_rewards and role is None:
                raise PrmEvalError(f"the selector {name} needs rewards: name it {name}_prm or {name}_orm")
            if role is not None and role not in self.options.models:
                raise PrmEvalError(f"the selector {name} needs a reward model: --metadata {role}_model=...")
            chosen[name] = (selector, role)
        if K_PIPELINE in chosen:
            raise PrmEvalError(f"{K_PIPELINE} is no selector: ask for them by --metadata {K_PIPELINE}=all")
        return chosen

    @property
    def filters(self) -> list[str]:
        """The names of the filters: the pipelines, and one for the k-measures where these are asked for."""
        return [*self.pipelines, *([K_PIPELINE] if self.options.k_measures else [])]

    def _metric_names(self) -> list[str]:
        names = [f"acc@{n}" for n in self.ns]
        names += [each.at(n) for each in read_k_measures(self.options.k_measures) for n in self.ns]
        for problem in self.problem_set.problems:
            names += [name for name in self._group_metrics(problem) if name not in names]
        return names

    def _group_metrics(self, problem: Problem) -> list[str]:
        """Return the names of a problem's group accuracies, such as ``acc@8:Algebra`` and ``acc@8:level_3``."""
        names = []
        if "subject" in self.options.breakdown and problem.subject:
            names.append(f"acc@{self.ns[-1]}:{problem.subject.replace(',', '')}")
        if "level" in self.options.breakdown and problem.level is not None:
            names.append(f"acc@{self.ns[-1]}:level_{problem.level}")
        return names

    def _provenance(self) -> dict[str, Any]:
        """Return the facts that lm_eval does not record; they are in the results under ``configs`` / ``metadata``."""
        return {
            "problem_set": {"name": self.problem_set.name, "content_hash": self.problem_set.content_hash},
            "grader": load_grader(self.options.grader).version if self.options.grades == "own" else "published",
            "ns": list(self.ns),
            "pipelines": list(self.pipelines),
            "prompt": self.asked and {"name": self.asked.name, "template": self.asked.template},
            "versions": software_versions("lm_eval", "torch", "transformers"),
        }

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Hand our problems to lm_eval as its dataset; nothing is fetched here."""
        rows = [
            {
                "problem_id": p.problem_id,
                "problem": p.statement,
                "answer": p.gold,
                "subject": p.subject,
                "level": p.level,
            }
            for p in self.problem_set.problems
        ]
        self.dataset = {"test": datasets.Dataset.from_list(rows)}

    @property
    def _predict_only(self) -> bool:
        return "bypass" in self._metric_fn_list

    def build_all_requests(self, **kwargs: Any) -> None:
        """Build requests, after checking everything that can be checked before generation.

        Raises:
            PrmEvalError: A guard of :mod:`prm_eval.harness.guards` refuses, or a reward model cannot be loaded.
        """
        guards.check_request_cache(bool(kwargs.get("cache_requests")))
        self.world_size = int(kwargs.get("world_size", 1))
        template = guards.calling_scope().get("apply_chat_template")
        if self.replay is None:
            policy = self.language_model = guards.calling_scope().get("lm")
            guards.check_generation(self.config.generation_kwargs or {}, self.n_samples, policy)
            if self.options.policy_offload and policy is not None and not self._predict_only:
                self.policy = movable_policy(policy)
        else:
            self.set_config("generation_kwargs", sampling_used(self.replay.pool.info))
        if not self._predict_only:
            if self.options.grades == "own":
                guards.check_gold(self.problem_set.problems, self.problem_set.name)
            self.models = {
                role: self._load_model(role) for role in {role for _, role in self.pipelines.values() if role}
            }
            if self.replay is not None:
                self.replay.check_stored(self.models.values())
        super().build_all_requests(**kwargs)
        if self.replay is not None:
            self.replay.fill(self._instances)
            return
        name = None if self.asked is None else self.asked.name
        self.made_by = prompt_record(self.config, self._instances, self.language_model, kwargs, template, name)
        if self.language_model is not None:
            self._go_on(rank=int(kwargs.get("rank", 0)))

    def _go_on(self, rank: int) -> None:
        """Fill in the candidates that an interrupted run of this task left, and keep new ones from here on."""
        self.journal = TaskJournal(
            str(self.config.task),
            self._parent,
            self.language_model,
            self.config.metadata or {},
            self.config.generation_kwargs or {},
            n=self.n_samples,
            rank=rank,
            world_size=self.world_size,
        )
        self.journal.fill(self._instances)

    def _load_model(self, role: str) -> RewardModel:
        model = load_reward_model(self.options.models[role], **self.options.model_options[role])
        if model.kind != role:
            raise PrmEvalError(
                f"{role}_model={self.options.models[role]} is a{'n' if model.kind == 'orm' else ''} "
                f"{model.kind.upper()}; give it as {model.kind}_model"
            )
        if model.splitter is not None and base_splitter(model.splitter) == "given" and self.replay is None:
            raise PrmEvalError(f"{role}_splitter=given, but candidates that are generated come without steps")
        if fed := how_fed(model):
            logger.info("%s_model=%s is fed by the recipe %s", role, model.name, fed)
        if self.asked is not None and self.replay is None:
            check_fit(self.asked, model, f"{role}_model={model.name}")
        return model

    def apply_filters(self) -> list[Any] | None:
        """Keep the candidates, then grade, score and select; every instance gets one JSON text for each pipeline."""
        pool = self._keep_candidates()
        if self._predict_only:
            for instance in self._instances:
                instance.filtered_resps["none"] = instance.resps[0] if instance.resps else ""
            self._let_the_journal_go()
            return None
        try:
            self._select(pool)
        except BaseException:
            logger.error(
                "The candidates are safe. To finish without generating again:\n  %s",
                replay_hint(str(self.config.task), pool, self.options),
            )
            raise
        self._let_the_journal_go()
        return None

    def _let_the_journal_go(self) -> None:
        if self.journal is not None:
            self.journal.finish()

    def _keep_candidates(self) -> Pool:
        if self.replay is not None:
            return self.replay.pool_for(
                [instance.doc["problem_id"] for instance in self._instances], self.models.values(), self._parent
            )
        pool = dump_candidates(
            self._generated(),
            self._parent,
            self.problem_set,
            self.n_samples,
            dict(self.config.generation_kwargs or {}),
            self.config.metadata or {},
            self.made_by | ({"seeds": self.journal.seeds} if self.journal is not None else {}),
            pool_splitter(self.asked),
        )
        logger.info(
            "%d candidates of %d problems are kept in %s", pool.info.n_candidates, pool.info.n_problems, pool.path
        )
        texts = [instance.resps[: self.n_samples] for instance in self._instances]
        if self.journal is not None:
            self.journal.in_pool(pool)
            if (warning := repeats_warning(list(zip(texts, self.journal.from_before, strict=True)))) is not None:
                logger.warning("%s", warning)
        if not self.options.allow_identical:
            guards.check_candidates(texts, self.n_samples)
        return pool

    @property
    def _parent(self) -> Path:
        return Path(self.options.dump_dir) / str(self.config.task)

    def _generated(self) -> Iterator[tuple[Problem, list[Candidate]]]:
        """Yield every problem with its generated candidates.

        Data-parallel padding gives the last problem of a rank more than N, which are left out.
        """
        for instance in self._instances:
            problem = self.by_id[instance.doc["problem_id"]]
            texts = instance.resps[: self.n_samples]
            yield problem, [Candidate(problem.problem_id, slot, str(text)) for slot, text in enumerate(texts)]

    def _select(self, pool: Pool) -> None:
        grade_if_needed(pool, self.options)
        say_verdicts(pool, self.options.grades_source, self.config.generation_kwargs or {}, self.language_model)
        with offloaded(self.policy):
            rewards = {role: rewards_for(pool, model) for role, model in self.models.items()}
        say_one_step(pool, rewards.values())
        self.config.metadata["prm_eval"] |= {
            "pool": pool_record(pool.info, str(pool.path)),
            "reward_models": {
                role: {"name": file.name, **file.info.model, "aggregation": file.aggregation}
                for role, file in rewards.items()
            },
        }
        # by role: an ORM and a PRM may have one name, and that of a local checkpoint is a long path
        named = {role: NamedRewards(role.upper(), file) for role, file in rewards.items()}
        found = evaluate(
            pool,
            list(named.values()),
            grades=self.options.grades_source,
            ns=self.ns,
            selectors=list(dict.fromkeys(selector for selector, _ in self.pipelines.values())),
            draws=self.options.draws,
            seed=self.options.seed,
            no_answer=self.options.no_answer,
            k_measures=self.options.k_measures,
        )
        self.config.metadata["prm_eval"]["no_answer"] = {
            "rule": found.no_answer.rule,
            "share": round(found.no_answer.share, 6),
        }
        metrics = self._problem_metrics(pool, found, {role: each.label for role, each in named.items()})
        logging.getLogger("lm_eval.evaluator_utils").addFilter(_not_the_group_warning)
        for instance in self._instances:
            for name in self.filters:
                instance.filtered_resps[name] = json.dumps(metrics[instance.doc["problem_id"]][name])
        # a rank has its own problems only, and a pool with stored rewards may have more than --limit asked for
        if self.world_size == 1 and len(self._instances) == len(found.problem_ids):
            say_table(found, pool, {each.label: each.file.name for each in named.values()})

    def _problem_metrics(
        self, pool: Pool, found: Evaluation, labels: dict[str, str]
    ) -> dict[str, dict[str, dict[str, float]]]:
        """Return the metrics of every problem and pipeline; ``labels`` has the name of each role's rewards."""
        result: dict[str, dict[str, dict[str, float]]] = {}
        for row, problem_id in enumerate(found.problem_ids):
            named: dict[str, dict[str, float]] = {}
            for name, (selector, role) in self.pipelines.items():
                table = found.curves.get((selector, labels[role] if role else None))
                # a vote that is not available (see the notes of the table) has no number
                values = [math.nan] * len(self.ns) if table is None else table[row]
                named[name] = {f"acc@{n}": float(value) for n, value in zip(self.ns, values, strict=True)}
                if self.world_size == 1:  # with several ranks lm_eval's gathering needs the same metrics on each
                    named[name] |= dict.fromkeys(self._group_metrics(pool.problems[problem_id]), float(values[-1]))
            if self.options.k_measures:
                named[K_PIPELINE] = self._k_measures(found, row)
            result[problem_id] = named
        return result

    def _k_measures(self, found: Evaluation, row: int) -> dict[str, float]:
        """Return the k-measures of one problem; one that is not available, as a vote without answers, has no number."""
        nothing = np.full((len(found.problem_ids), len(self.ns)), np.nan)
        return {
            each.at(n): float(value)
            for each in read_k_measures(self.options.k_measures)
            for n, value in zip(self.ns, found.k_measures.curves.get(each.name, nothing)[row], strict=True)
        }
