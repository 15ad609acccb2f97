"""Small Python function tasks with unit tests, generated from templates written for this project."""

from recipes.embedded.functions.checking import check, same
from recipes.embedded.functions.making import tasks
from recipes.embedded.functions.spec import Task

__all__ = ["Task", "check", "same", "tasks"]
