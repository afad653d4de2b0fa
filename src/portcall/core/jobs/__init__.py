"""Jobs: what becomes of a stored call, when it runs, and how it ends. Sans-I/O.

Owns every decision about jobs. `engine` is the state machine that a hub drives; `batch` is the language that it speaks
with a store; the other modules are the rules, one each. Clock readings, randomness and what the store holds come in as
values; batches and effects go out. `docs/jobs-guarantees.md` says what is promised, `docs/internals.md` how a shell
drives the engine.

Imports the generated protos and Portcall's errors, and `cronsim` for the arithmetic of cron.
"""
