"""Short maths problems with worked answers, made from templates written for this project.

Each template has phrasings that are never trained on, and a fifth of all number combinations is kept back as well.
The sums of a worked answer are such as the candidate's calculator finishes.
"""

from recipes.embedded.problems.algebra import ALGEBRA
from recipes.embedded.problems.chains import CHAINS
from recipes.embedded.problems.dice import Dice
from recipes.embedded.problems.making import SHORT, SIMPLE, TEMPLATES, problems
from recipes.embedded.problems.steps import so, step

__all__ = ["ALGEBRA", "CHAINS", "SHORT", "SIMPLE", "TEMPLATES", "Dice", "problems", "so", "step"]
