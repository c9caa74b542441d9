"""One family of errors; each class carries the exit status of the program.

Messages say what was expected, what was found and where to change it. They are meant to be read
by the person who runs the job, so they carry no Java and no Python stack.
"""

from __future__ import annotations


class RfmSparkError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code = 1


class ConfigurationError(RfmSparkError):
    """The configuration or the command line asks for something that does not exist."""

    exit_code = 2


class PlatformError(RfmSparkError):
    """Java, Spark or Delta Lake is missing here, or the versions do not fit together."""

    exit_code = 2


class DataError(RfmSparkError):
    """The data was read, and refused; nothing of it was published."""

    exit_code = 3


class ModelError(RfmSparkError):
    """There is no model or no score edges for this date, or they do not fit the configuration."""

    exit_code = 3


class ConflictError(RfmSparkError):
    """Another run wrote the same table at the same time and won."""

    exit_code = 4
