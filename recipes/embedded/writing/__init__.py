"""Short pieces of writing with the requests they answer, composed from parts written for this project."""

from recipes.embedded.writing.making import VERSE, pieces

__all__ = ["VERSE", "pieces"]
