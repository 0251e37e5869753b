"""The scripted server for the chat oracle's tests over HTTP."""

from scripted_server import serve  # noqa: F401
