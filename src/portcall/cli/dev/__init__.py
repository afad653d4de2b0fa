"""`portcall dev`: a hub and a worker for the time of writing an app, which reload it when it changes.

Owns the app's process, when it is started anew, and how calls are shown. Belongs to `portcall.cli`, and may import what
that may import.
"""
