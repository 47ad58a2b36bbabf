"""Callbacks: progress, figures, resource meter, exact resume."""
