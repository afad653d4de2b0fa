"""`portcall doctor`: goes the way to a hub step by step, and says which step fails and how to mend it.

`looks` and `asking` do the I/O and return what they saw; `verdicts` judges that, purely; `examination` has the order of
the steps. May import what the other commands may.
"""
