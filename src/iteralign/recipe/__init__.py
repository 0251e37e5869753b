"""Everything that a run depends on, typed and checked.

The names below are for users; our own code imports from the files.
"""

from iteralign.recipe.iteralign import Recipe
from iteralign.recipe.load import changes, headlines, load_recipe, parse, shipped
from iteralign.recipe.self_align import SelfAlignRecipe

__all__ = ["Recipe", "SelfAlignRecipe", "changes", "headlines", "load_recipe", "parse", "shipped"]
