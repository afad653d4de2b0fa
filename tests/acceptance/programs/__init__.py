"""Programs of users: scripts that block, fork, are interrupted or simply end. Run by `test_sync.py`."""
