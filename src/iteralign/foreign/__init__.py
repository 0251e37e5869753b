"""Reads JSON and YAML that others wrote: nonsense, or what is made to hurt, is one ``Unreadable``."""
