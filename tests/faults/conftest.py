"""The forking process of the crash tests serves these too."""

from tests.crash.conftest import forker

__all__ = ["forker"]
