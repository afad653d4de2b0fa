"""Jobs as a client sees them: submitting, handles, waiting, and the way to the hub's service `portcall.v1.Jobs`.

That service is native gRPC, so all of this has a gRPC channel of its own beside the link, opened when it is first
needed. `keeper` holds what one channel has of it; `connections` is the way to the hub, `submitting` and `waiting` the
two things that have to be fast, `handles` what users hold, `telling` what they are told.
"""
