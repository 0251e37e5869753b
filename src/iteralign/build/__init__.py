"""From a recipe to engines, oracles, trainers and evaluations, and from those to a run: the only folder that
names concrete classes.
"""
