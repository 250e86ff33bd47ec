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
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
from lm_eval.api.task import ConfigurableTask

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.curves import checked_ns, evaluate
from prm_eval.grading.pool import load_grader, own_grader
from prm_eval.harness import guards
from prm_eval.harness.candidates import Replay, dump_candidates, open_replay, replay_hint
from prm_eval.harness.metadata import without_effect
from prm_eval.harness.metrics import AHEAD, BEHIND, Metrics, choose_pipelines
from prm_eval.harness.offload import movable_policy, offloaded
from prm_eval.harness.options import DEFAULT_SAMPLES, PLAIN_KEYS, Options, read_options
from prm_eval.harness.prompting import check_fit, choose_prompt, doc_to_text, pool_splitter, say_one_step
from prm_eval.harness.provenance import pool_record, prompt_record, sampling_used
from prm_eval.harness.repeats import repeats_warning
from prm_eval.harness.said import note_set, say_table, say_verdicts, speak_in_lm_eval
from prm_eval.harness.scoring import grade_if_needed, rewards_for
from prm_eval.harness.step_options import STEP_KEYS
from prm_eval.harness.task_journal import TaskJournal
from prm_eval.pools.format import software_versions
from prm_eval.pools.pool import Pool
from prm_eval.pools.problem_sets import HUB_SETS, ProblemSet, load_local_copy, load_problems
from prm_eval.records import Candidate, Problem
from prm_eval.rewards import RewardModel, how_fed, load_reward_model
from prm_eval.rewards.files.reward_file import NamedRewards
from prm_eval.texts.steps import base_splitter

logger = logging.getLogger(__name__)


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Return the metrics of one problem under one pipeline, as ``apply_filters`` computed them."""
    metrics: dict[str, float] = json.loads(results[0])
    return metrics


def _not_the_group_warning(record: logging.LogRecord) -> bool:
    """Return False for lm_eval's warnings about our groups that say nothing, and True for others.

    ``acc@8:Algebra`` has fewer problems than ``acc@8``, but groups aggregate only what every problem has; and their
    files list every n and every rival that a run may have, each of which lm_eval misses where a run has not.
    """
    said = record.getMessage()
    missed = "no values found for metric" in said and any(f"'{name}" in said for name in ("acc@", AHEAD, BEHIND))
    return not missed and "Metrics were not scored on the same number" not in said


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
        if self.replay is not None and "grader" not in metadata:
            # as prm-eval evaluate grades this pool
            self.options = replace(self.options, grader=own_grader(self.replay.pool))
        self.problem_set = self._load_problem_set(str(settings.get("task")))
        self.by_id = {problem.problem_id: problem for problem in self.problem_set.problems}
        self.n_samples = self.options.n_samples or (self.replay.pool.info.m if self.replay else DEFAULT_SAMPLES)
        slots = self.replay.pool.info.m if self.replay else self.n_samples
        if self.n_samples > slots:
            raise PrmEvalError(f"n_samples={self.n_samples}, but the replayed pool has {slots} slots a problem")
        # lm_eval's own tasks have a ``prompt``, and it means another thing
        self.asked = choose_prompt(self.options.prompt, settings, self.replay)
        self.ns = checked_ns(self.options.ns, self.n_samples)
        self.pipelines = choose_pipelines(self.options)
        self.metrics = Metrics(self.pipelines, self.ns, self.options.k_measures, self.options.breakdown)
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
                {"metric": name, "aggregation": "mean", "higher_is_better": not name.startswith(BEHIND)}
                for name in self.metrics.names(self.problem_set.problems)
            ],
            "filter_list": [{"name": name, "filter": [{"function": "take_first"}]} for name in self.metrics.filters],
        }
        super().__init__(config=settings)

    def _load_problem_set(self, task: str) -> ProblemSet:
        if self.options.sets_dir and self.options.problems in HUB_SETS:
            return load_local_copy(self.options.problems, Path(self.options.sets_dir))
        if self.options.problems:
            return load_problems(self.options.problems)
        if self.replay is None:
            raise PrmEvalError(
                f"{task} needs its problems: --metadata problems=FILE.jsonl (or a problem set by name, or replay=POOL)"
            )
        pool = self.replay.pool
        return ProblemSet(str(pool.info.problem_set.get("name")), tuple(pool.problems.values()))

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
            self.options.of_the_set,
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
        labels = {role: each.label for role, each in named.items()}
        metrics = self.metrics.of_problems(pool, found, labels, grouped=self.world_size == 1)
        for name in ("lm_eval.evaluator_utils", "lm_eval.api.group"):
            logging.getLogger(name).addFilter(_not_the_group_warning)
        for instance in self._instances:
            for name in self.metrics.filters:
                instance.filtered_resps[name] = json.dumps(metrics[instance.doc["problem_id"]][name])
        # a rank has its own problems only, and a pool with stored rewards may have more than --limit asked for
        if self.world_size == 1 and len(self._instances) == len(found.problem_ids):
            say_table(found, pool, {each.label: each.file.name for each in named.values()})
            note_set(self.options.domain or self.problem_set.name, self.problem_set.name, found)
