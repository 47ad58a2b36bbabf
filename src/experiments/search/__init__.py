"""Hyper-parameter search, by Optuna: a sweep whose next cell is chosen by what the earlier ones gave."""
