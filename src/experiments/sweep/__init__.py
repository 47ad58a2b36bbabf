"""Many runs from one command."""

from experiments.system.callable_package import make_callable

make_callable(__name__)
