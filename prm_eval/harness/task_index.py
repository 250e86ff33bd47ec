"""The index of tasks of ``prm-eval run``: ours first, lm_eval's fourteen thousand files only when one is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lm_eval.tasks
from lm_eval.tasks import TaskManager


class OwnTasksFirst(TaskManager):
    """An index of the tasks below ``include_path``; of lm_eval's own as well once another name is asked for.

    Reading all of lm_eval's task files takes seconds, at every run, though most runs want one task of ours.

    Args:
        settings: The arguments of lm_eval's ``TaskManager``.
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._whole = False
        super().__init__(**{**settings, "include_defaults": False})

    def match_tasks(self, task_list: list[str]) -> list[str]:
        """Return the names that match patterns; a pattern that is no name of ours may match one of lm_eval's."""
        self._hold(task_list)
        return list(super().match_tasks(task_list))

    def load(self, task_list: Any) -> Any:
        """Return the tasks and groups of names, paths and inline configurations."""
        self._hold(task_list if isinstance(task_list, list) else [task_list])
        return super().load(task_list)

    def _hold(self, wanted: list[Any]) -> None:
        # a configuration in place of a name may refer to any task
        if not self._whole and not all(isinstance(each, str) and each in self.task_index for each in wanted):
            self._whole = True
            super().__init__(**self._settings)


@contextmanager
def own_tasks_first() -> Iterator[None]:
    """Let lm_eval's command line index our tasks first; it offers no option for it."""
    lm_eval.tasks.TaskManager = OwnTasksFirst
    try:
        yield
    finally:
        lm_eval.tasks.TaskManager = TaskManager
