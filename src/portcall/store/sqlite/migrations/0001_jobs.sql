-- Version 1: the first.

-- Job options that are or were in force, each once.
CREATE TABLE policy (
    id INTEGER PRIMARY KEY,
    options BLOB NOT NULL UNIQUE
) STRICT;

-- Methods by their names in gRPC's paths, with their newest options.
CREATE TABLE method (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    policy INTEGER NOT NULL REFERENCES policy (id)
) STRICT;

-- All jobs. What is often empty comes last, since it costs a byte there. Ids rise, so new rows go to the table's end.
CREATE TABLE job (
    id INTEGER PRIMARY KEY,
    method INTEGER NOT NULL,
    state INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    policy INTEGER NOT NULL,
    keep_s REAL NOT NULL,
    due_at REAL NOT NULL,
    started_at REAL,
    value TEXT NOT NULL,
    key TEXT,
    parent INTEGER,
    step TEXT,
    overrides BLOB,
    metadata BLOB,
    -- NULL if it is in large_request.
    request BLOB,
    failures INTEGER NOT NULL DEFAULT 0,
    deaths INTEGER NOT NULL DEFAULT 0,
    pending INTEGER NOT NULL DEFAULT 0,
    ended_at REAL,
    expires_at REAL,
    status INTEGER,
    details TEXT NOT NULL DEFAULT '',
    worker TEXT NOT NULL DEFAULT '',
    trailers BLOB,
    -- NULL if there is none, or it is in large_reply.
    reply BLOB
) STRICT;

-- What can be claimed, flow by flow, oldest first. Partial, like most that follow: a job is in none of them but for the
-- time that it needs it, so their size is that of the work at hand and not of the history.
CREATE INDEX job_ready ON job (method, rank, value) WHERE state = 3;

-- What waits for its time.
CREATE INDEX job_due ON job (due_at) WHERE state = 2;

-- What a hub has to account for when it starts.
CREATE INDEX job_held ON job (state) WHERE state IN (4, 5);

-- What somebody may want to look at.
CREATE INDEX job_unsuccessful ON job (state) WHERE state IN (7, 8);

-- What retention takes next.
CREATE INDEX job_expires ON job (expires_at) WHERE expires_at IS NOT NULL;

-- One job for a key.
CREATE UNIQUE INDEX job_key ON job (method, key) WHERE key IS NOT NULL;

-- The children of a job.
CREATE INDEX job_parent ON job (parent) WHERE parent IS NOT NULL;

-- Payloads that would make a job's row slow to rewrite.
CREATE TABLE large_request (
    job INTEGER PRIMARY KEY,
    message BLOB NOT NULL
) STRICT;

CREATE TABLE large_reply (
    job INTEGER PRIMARY KEY,
    message BLOB NOT NULL
) STRICT;

-- Which job waits for which, until the one it waits for has ended.
CREATE TABLE dependency (
    parent INTEGER NOT NULL,
    job INTEGER NOT NULL,
    PRIMARY KEY (parent, job)
) STRICT, WITHOUT ROWID;

CREATE TABLE label (
    job INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (job, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX label_value ON label (name, value, job);

-- Attempts that another one followed; the last attempt is in the job's own row.
CREATE TABLE attempt (
    job INTEGER NOT NULL,
    number INTEGER NOT NULL,
    started_at REAL NOT NULL,
    ended_at REAL NOT NULL,
    outcome INTEGER NOT NULL,
    status INTEGER NOT NULL,
    details TEXT NOT NULL,
    worker TEXT NOT NULL,
    PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;

-- Progress and log lines.
CREATE TABLE note (
    job INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at REAL NOT NULL,
    kind INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;

-- Replies of server-streaming jobs. With row ids, since messages may be large.
CREATE TABLE stream_reply (
    job INTEGER NOT NULL,
    place INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    message BLOB NOT NULL,
    PRIMARY KEY (job, place)
) STRICT;

CREATE TABLE checkpoint (
    job INTEGER PRIMARY KEY,
    attempt INTEGER NOT NULL,
    at REAL NOT NULL,
    replies INTEGER NOT NULL,
    state BLOB NOT NULL
) STRICT;

CREATE TABLE schedule (
    name TEXT PRIMARY KEY,
    spec BLOB NOT NULL,
    next_at REAL,
    last_at REAL,
    last_job INTEGER
) STRICT, WITHOUT ROWID;

-- The highest id that was ever forgotten: it must not be given to another job, even if the clock was set back.
CREATE TABLE forgotten (
    last_job INTEGER NOT NULL
) STRICT;

INSERT INTO forgotten (last_job) VALUES (0);

-- How many jobs of each method are in each state.
CREATE TABLE tally (
    method INTEGER NOT NULL,
    state INTEGER NOT NULL,
    jobs INTEGER NOT NULL,
    PRIMARY KEY (method, state)
) STRICT, WITHOUT ROWID;
