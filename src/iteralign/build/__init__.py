"""The composition root: from a recipe to engines, oracles, trainers, evaluations, and to a run.

The only folder that names concrete classes: a plain match, no registry.
"""
