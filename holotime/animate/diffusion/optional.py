"""Optional packages of the diffusion backend, imported when they are first needed."""

import importlib
from types import ModuleType

from holotime.errors import BackendUnavailable


def require(name: str) -> ModuleType:
    """Import an optional package. Raises BackendUnavailable with the command that installs it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BackendUnavailable(
            f"The holotime animator needs the package {name} ({error}). "
            "Install it with: pip install 'holotime[diffusion]'"
        ) from error
