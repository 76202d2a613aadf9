"""The same commands over HTTP. Imports FastAPI: only what serves may import this."""

from commands.http.application import create_app
from commands.http.callers import Caller
from commands.http.console.mounting.application import create_console
from commands.http.router import create_router

__all__ = ["Caller", "create_app", "create_console", "create_router"]
