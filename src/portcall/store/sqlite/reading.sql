-- What `reading.py` asks of the database. See `writing.sql` for `$NAMES`.

-- name: methods
-- All methods.
SELECT id, name, policy FROM method ORDER BY id;

-- name: policies
-- All options.
SELECT id, options FROM policy;

-- name: held
-- The jobs that somebody holds, with the last note and the number of replies of each.
SELECT id, method, state, rank, value, attempt, failures, deaths, policy, parent, overrides, started_at,
    coalesce((SELECT max(number) FROM note WHERE note.job = job.id AND number >> 20 = job.attempt), 0),
    coalesce((SELECT max(place) + 1 FROM stream_reply WHERE stream_reply.job = job.id), 0), details
FROM job WHERE state IN ($RUNNING, $CANCELLING) ORDER BY id;

-- name: has_ready
-- Whether a method has ready jobs.
SELECT EXISTS (SELECT 1 FROM job WHERE state = $READY AND method = ?);

-- name: next_due_at
-- The earliest time of a job that waits for its time.
SELECT min(due_at) FROM job WHERE state = $SCHEDULED;

-- name: last_job
-- The highest id that a job has or had.
SELECT max(forgotten.last_job, coalesce((SELECT max(id) FROM job), 0)) FROM forgotten;

-- name: schedules
-- All schedules.
SELECT name, spec, next_at, last_at, last_job FROM schedule ORDER BY name;

-- name: live
-- Those of these jobs that have not ended.
SELECT id FROM job WHERE id IN (SELECT value FROM json_each(?)) AND state NOT IN ($SUCCEEDED, $FAILED, $CANCELLED);

-- name: states
-- The states of these jobs.
SELECT id, state FROM job WHERE id IN (SELECT value FROM json_each(?));

-- name: tally
-- How many jobs of each method are in each state.
SELECT method, state, jobs FROM tally;

-- name: tallies
-- The same, with the names of the methods.
SELECT method.name, state, jobs FROM tally JOIN method ON method.id = tally.method WHERE jobs > 0
ORDER BY method.name, state;

-- name: retrying
-- How many jobs of each method have had an attempt, of the first so many that wait for their time.
SELECT method.name, count(*) FROM (SELECT method, attempt FROM job WHERE state = $SCHEDULED ORDER BY due_at LIMIT ?) AS due
JOIN method ON method.id = due.method WHERE due.attempt > 0 GROUP BY method.name;

-- name: ready_since
-- The earliest time at which one of a method's ready jobs was due: of the oldest of each of its first so many flows.
WITH RECURSIVE flow (job) AS (
    SELECT (SELECT id FROM job WHERE state = $READY AND method = ?1 ORDER BY rank, value, id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT following.id FROM job AS following
        WHERE following.state = $READY AND following.method = ?1
            AND (following.rank, following.value) > (last.rank, last.value)
        ORDER BY following.rank, following.value, following.id LIMIT 1
    )
    FROM flow JOIN job AS last ON last.id = flow.job
)
SELECT min(due_at) FROM job WHERE id IN (SELECT job FROM flow LIMIT ?2);

-- name: labels
-- The labels of these jobs.
SELECT job, name, value FROM label WHERE job IN (SELECT value FROM json_each(?)) ORDER BY job, name;

-- name: attempts
-- The attempts of a job that another one followed.
SELECT job, number, started_at, ended_at, outcome, status, details, worker FROM attempt WHERE job = ? ORDER BY number;

-- name: notes
-- What attempts of a job told.
SELECT job, number, at, kind, body FROM note WHERE job = ? AND number > ? ORDER BY number LIMIT ?;

-- name: replies
-- Replies of a server-streaming job.
SELECT place, attempt, message FROM stream_reply WHERE job = ? AND place >= ? ORDER BY place LIMIT ?;

-- name: bounds
-- The lowest of the next so many ids below one: how far a page of a listing looks.
SELECT min(id), count(*) FROM (SELECT id FROM job WHERE id <= ? AND id >= ? ORDER BY id DESC LIMIT ?);
