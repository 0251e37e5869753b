"""Replicas of an engine on the machines of a Ray cluster."""
