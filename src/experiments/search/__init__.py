"""Hyper-parameter search, by Optuna: a sweep whose next run is chosen by what the earlier ones gave."""

from experiments.system.callable_package import make_callable

make_callable(__name__)
