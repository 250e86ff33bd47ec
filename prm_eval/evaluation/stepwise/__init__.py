"""Does a reward model find the mistake? Step-level measures on labelled solutions, each under its published name.

The order of the modules: :mod:`.arrays` (a step set), :mod:`.scores` (what was said of it), :mod:`.resampling`
(limits over problems), then the measures (:mod:`.locating`, :mod:`.thresholds`, :mod:`.separating`, :mod:`.prmbench`),
:mod:`.rules` (rows without a model), :mod:`.measuring` (all of them for one row), :mod:`.comparing`, and what is shown.
"""
