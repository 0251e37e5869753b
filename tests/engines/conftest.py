"""The tiny model and the scripted server for the engines' tests."""

from scripted_server import serve  # noqa: F401
from tiny_model import tiny  # noqa: F401
