"""Words that a person types become settings and one job; its results, progress and errors become lines and a status.

Nothing else in the package prints or exits.
"""
