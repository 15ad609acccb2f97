"""Short maths problems with worked answers, generated from templates written for this project.

Each template has phrasings that are never trained on, and a fifth of all number combinations is held back too. The
candidate's calculator can finish every sum of a worked answer.
"""

from recipes.embedded.problems.algebra import ALGEBRA
from recipes.embedded.problems.chains import CHAINS
from recipes.embedded.problems.dice import Dice
from recipes.embedded.problems.making import SHORT, SIMPLE, TEMPLATES, problems
from recipes.embedded.problems.steps import so, step

__all__ = ["ALGEBRA", "CHAINS", "SHORT", "SIMPLE", "TEMPLATES", "Dice", "problems", "so", "step"]
