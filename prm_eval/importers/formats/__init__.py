"""The formats that are imported, one module each.

A module is a format if it has a ``FORMAT``: a name, how its first row is recognised, and its reader. Another format is
one more module here, and one more name in the list of :mod:`prm_eval.importers.registry`.
"""
