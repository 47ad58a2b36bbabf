"""`experiments show`: what a trained network looks for, as pictures and a page.

A task names the modules with its panels (`Task.shows`); each has a tuple `PANELS`, and each panel draws what it can.
"""
