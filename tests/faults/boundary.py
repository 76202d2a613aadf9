"""The calls through which our code reaches its files, so that each can be made to fail.

What Python's `os` offers is wrapped in a process that does nothing else afterwards; every call on
a path below one folder goes through a hook first. SQLite's own input and output goes past it: see
`preload` for that. Standard library only, because the copying processes load this file too.
"""

from __future__ import annotations

import fcntl
import io
import os
import subprocess
from collections.abc import Callable
from typing import Any

ON_A_PATH = ("open", "unlink", "mkdir", "rmdir")
ON_TWO_PATHS = ("link", "rename", "replace")
ON_A_DESCRIPTOR = ("read", "readv", "write", "pwrite", "fsync", "fdatasync", "ftruncate", "fchmod")
ON_TWO_DESCRIPTORS = ("copy_file_range", "sendfile")

Perform = Callable[..., Any]
Hook = Callable[[str, list[str], Perform, tuple[Any, ...]], Any]
"""Told (call, absolute paths, what performs it, its positional arguments); gives its result."""


class Boundary:
    """Everything that our code does to files below `folder`, through one hook."""

    def __init__(self, folder: str, hook: Hook) -> None:
        self._folder = folder + os.sep
        self._hook = hook
        self._paths: dict[int, str] = {}

    def install(self) -> None:
        """Wrap the calls; there is no way back."""
        for name in ON_A_PATH + ON_TWO_PATHS:
            count = 1 + (name in ON_TWO_PATHS)
            self._wrap(os, name, lambda arguments, count=count: arguments[:count])
        for name in ON_A_DESCRIPTOR + ON_TWO_DESCRIPTORS:
            count = 1 + (name in ON_TWO_DESCRIPTORS)
            if hasattr(os, name):
                self._wrap(os, name, lambda arguments, count=count: self._known(arguments[:count]))
        self._wrap(fcntl, "flock", lambda arguments: self._known(arguments[:1]))
        self._wrap(io, "open", lambda arguments: arguments[:1])
        self._wrap(subprocess.Popen, "__init__", lambda _: [self._folder + "a process"])
        close = os.close

        def closed(descriptor: int) -> None:
            self._paths.pop(descriptor, None)
            close(descriptor)

        os.close = closed

    def _known(self, descriptors: Any) -> list[str]:
        return [self._paths[each] for each in descriptors if each in self._paths]

    def _wrap(self, owner: Any, name: str, paths_in: Callable[[Any], Any]) -> None:
        original = getattr(owner, name)
        shown = "spawn" if name == "__init__" else name

        def wrapped(*arguments: Any, **options: Any) -> Any:
            # A descriptor that is opened once more is not a path; nor is a pipe a file of ours.
            named = [each for each in paths_in(arguments) if not isinstance(each, int)]
            found = [os.path.abspath(os.fsdecode(each)) for each in named]
            concerned = [path for path in found if f"{path}{os.sep}".startswith(self._folder)]
            if not concerned:
                return original(*arguments, **options)

            def perform(*given: Any) -> Any:
                return original(*given, **options)

            result = self._hook(shown, concerned, perform, arguments)
            if shown == "open":
                number = result if isinstance(result, int) else result.fileno()
                self._paths[number] = concerned[0]
            return result

        setattr(owner, name, wrapped)
