"""What the process that jobs are forked from imports, once: all that most runs need, and no thread started."""

from experiments.imports import import_lightning

import_lightning()

import experiments.layers  # noqa: E402
import experiments.loggers  # noqa: E402
import experiments.run  # noqa: E402, F401
import experiments.tasks.classification  # noqa: E402, F401
