"""Evaluation: tasks of questions with known answers, a resumable runner, baselines, intervals and reports."""

from vl3.eval.run import RunConfig, evaluate
from vl3.eval.task import Item, Score, Task

__all__ = ["Item", "RunConfig", "Score", "Task", "evaluate"]
