"""Short maths problems with worked answers, made from templates written for this project.

Each template has phrasings that are never trained on, and a fifth of all number combinations is kept back as well.
Sums, products and quotients of two-digit numbers are worked in parts, each of which a small model can do.
"""

from recipes.embedded.problems.dice import Dice
from recipes.embedded.problems.making import TEMPLATES, drills, problems
from recipes.embedded.problems.steps import difference, product, quotient, share, so, total

__all__ = ["TEMPLATES", "Dice", "difference", "drills", "problems", "product", "quotient", "share", "so", "total"]
