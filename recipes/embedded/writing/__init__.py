"""Short pieces of writing with the requests they answer, composed from parts written for this project."""

from recipes.embedded.writing.making import pieces

__all__ = ["pieces"]
