"""Pictures: pure functions, tensors in, matplotlib Figure out. Imported only where a picture is drawn.

Here are those of a run; what `experiments show` draws besides is imported from its own module.
"""

from experiments.viz.canvas import png
from experiments.viz.charts import bars, distributions, heat, lines
from experiments.viz.confusion import confusion
from experiments.viz.curves import curves
from experiments.viz.filters import filters, first_filters
from experiments.viz.images import grid, wrong
from experiments.viz.scatter import scatter
from experiments.viz.strips import strips

__all__ = [
    "bars",
    "confusion",
    "curves",
    "distributions",
    "filters",
    "first_filters",
    "grid",
    "heat",
    "lines",
    "png",
    "scatter",
    "strips",
    "wrong",
]
