"""`portcall demo`: a hub and workers as real processes, and the example project textmine at work on them.

`children` runs processes that never outlive this one, `example` finds the project, `progress` and `tables` show it;
`command` puts them together.
"""
