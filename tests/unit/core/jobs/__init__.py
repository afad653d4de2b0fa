"""The rules of jobs, each by itself."""
