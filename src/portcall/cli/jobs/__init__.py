"""`portcall jobs`: submit jobs, look at them, wait for them, end them.

`asking` is the way to the hub, `payloads` turns bytes into JSON by the contract, `telling` puts jobs and events into
words; `command` and `following` are the commands.
"""
