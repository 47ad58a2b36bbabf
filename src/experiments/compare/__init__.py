"""Runs compared: records in, tables, charts, statistics and a report out."""

from experiments.system.callable_package import make_callable

make_callable(__name__)
