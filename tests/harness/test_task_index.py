"""``prm-eval run`` starts without reading lm_eval's fourteen thousand task files, and still knows all of them."""

from __future__ import annotations

from pathlib import Path

import lm_eval.tasks
import pytest
from lm_eval.config.evaluate_config import EvaluatorConfig
from lm_eval.tasks import TaskManager

from prm_eval.harness import running, tasks_path
from prm_eval.harness.task_index import OwnTasksFirst, own_tasks_first


@pytest.fixture(scope="module")
def read_once() -> TaskManager:
    return TaskManager(include_path=str(tasks_path()))


@pytest.fixture
def all_tasks(read_once, monkeypatch) -> TaskManager:
    """All tasks, which whoever asks for them in the test is given without reading them again: that takes seconds."""
    real = TaskManager.__init__

    def init(self, include_defaults=True, **settings) -> None:
        if include_defaults:
            self.__dict__.update(read_once.__dict__)
        else:
            real(self, include_defaults=False, **settings)

    monkeypatch.setattr(TaskManager, "__init__", init)
    return read_once


def test_a_task_of_ours_reads_no_other_task_file() -> None:
    """Reading them all takes seconds at every run; names, groups and lists of ours are to be found without."""
    ours = OwnTasksFirst(include_path=str(tasks_path()), metadata={})
    assert ours.match_tasks(["math500_bon", "miniature_bon"]) == ["math500_bon", "miniature_bon"]
    groups = ours.all_groups
    assert groups and sorted(ours.match_tasks(groups)) == sorted(groups)
    assert all(Path(entry.yaml_path).is_relative_to(tasks_path()) for entry in ours.task_index.values())


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [["hellaswag"], ["math500_bon", "hellaswag"], ["math500*"], ["*bon*", "gsm8k_bon"]])
def test_other_names_and_patterns_match_what_lm_eval_matches(all_tasks, wanted) -> None:
    """A task of lm_eval beside ours, or a pattern that fits both, must not be lost to the short index."""
    ours = OwnTasksFirst(include_path=str(tasks_path()), metadata={})
    assert ours.match_tasks(wanted) == all_tasks.match_tasks(wanted)


def test_all_tasks_are_read_once(monkeypatch) -> None:
    """lm_eval asks for each pattern by itself, and then loads: its thousands of files must not be read each time."""
    read = []
    monkeypatch.setattr(TaskManager, "__init__", lambda self, **settings: read.append(settings))
    monkeypatch.setattr(TaskManager, "task_index", {"math500_bon": None})
    monkeypatch.setattr(TaskManager, "match_tasks", lambda self, wanted: wanted)
    monkeypatch.setattr(TaskManager, "load", lambda self, wanted: wanted)
    ours = OwnTasksFirst(include_path="mine")
    for pattern in ("math*", "aime*"):
        ours.match_tasks([pattern])
    ours.load(["math500_bon", {"task": "mine"}])
    assert read == [{"include_path": "mine", "include_defaults": False}, {"include_path": "mine"}]


@pytest.mark.slow
def test_a_configuration_may_refer_to_any_task(all_tasks) -> None:
    """A group written in place of a name has tasks of lm_eval in it: all are indexed before it is built."""
    ours = OwnTasksFirst(include_path=str(tasks_path()), metadata={})
    ours._hold([{"group": "both", "task": ["hellaswag"]}])
    assert "hellaswag" in ours.task_index


def test_the_command_line_of_lm_eval_uses_it() -> None:
    """lm_eval takes the class by its name in ``lm_eval.tasks``; if it stops to, runs are slow again and nobody sees."""
    with own_tasks_first():
        config = EvaluatorConfig(tasks=["math500_bon"], include_path=str(tasks_path()))
        assert isinstance(config.process_tasks(), OwnTasksFirst)
    assert lm_eval.tasks.TaskManager is TaskManager


@pytest.mark.parametrize(("arguments", "short"), [([], True), (["--include_path", "mine"], False)])
def test_a_folder_of_ones_own_has_the_whole_index(monkeypatch, arguments, short) -> None:
    """Groups in a user's folder may name tasks of lm_eval, which only the whole index knows."""
    seen = []
    monkeypatch.setattr("lm_eval.__main__.cli_evaluate", lambda: seen.append(lm_eval.tasks.TaskManager))
    running._lm_eval(arguments)
    assert seen == [OwnTasksFirst if short else TaskManager]
