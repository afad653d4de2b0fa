-- What `writing.py` asks of the database. Names of job states stand for their numbers (`$READY`); `:rows` stands for as
-- many rows of parameters as there are; a list of ids comes as one JSON array.

-- name: find_policy
-- The number of these options.
SELECT id FROM policy WHERE options = ?;

-- name: add_policy
-- Number options that are new.
INSERT INTO policy (options) VALUES (?);

-- name: find_method
-- The number of a method.
SELECT id FROM method WHERE name = ?;

-- name: put_method
-- Number a method, or give it newer options.
INSERT INTO method (name, policy) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET policy = excluded.policy;

-- name: append_jobs
-- Store new jobs.
INSERT INTO job (id, method, state, rank, attempt, policy, keep_s, due_at, started_at, value, key, parent, step,
    overrides, metadata, request) VALUES :rows;

-- name: add_large_requests
-- Store requests that are too large for their jobs' rows.
INSERT INTO large_request (job, message) VALUES (?, ?);

-- name: add_large_replies
-- Store replies that are too large for their jobs' rows.
INSERT OR REPLACE INTO large_reply (job, message) VALUES (?, ?);

-- name: large_requests
-- The requests of these jobs that are not in their rows.
SELECT job, message FROM large_request WHERE job IN (SELECT value FROM json_each(?));

-- name: find_keys
-- The jobs that have these keys, given as [[method, key], ...].
SELECT job.method, job.key, job.id, job.state FROM json_each(?) AS wanted
CROSS JOIN job ON job.method = wanted.value ->> 0 AND job.key = wanted.value ->> 1 AND job.key IS NOT NULL;

-- name: free_keys
-- Take the keys of jobs away, so that others can have them.
UPDATE job SET key = NULL WHERE id IN (SELECT value FROM json_each(?));

-- name: add_dependencies
-- Note which job waits for which.
INSERT OR IGNORE INTO dependency (parent, job) VALUES (?, ?);

-- name: wait_for_parents
-- Let a new job wait for so many others.
UPDATE job SET state = $WAITING, pending = ? WHERE id = ?;

-- name: add_labels
-- Label new jobs.
INSERT OR REPLACE INTO label (job, name, value) VALUES (?, ?, ?);

-- name: states
-- The states of these jobs.
SELECT id, state FROM job WHERE id IN (SELECT value FROM json_each(?));

-- name: claim
-- Start the first ready jobs of a flow. The index has them in this order, so it costs the same whatever is stored.
UPDATE job SET state = $RUNNING, attempt = attempt + 1, started_at = ?
WHERE id IN (
    SELECT id FROM job WHERE state = $READY AND method = ? AND rank = ? AND value = ? ORDER BY id LIMIT ?
)
RETURNING id, attempt, failures, deaths, policy, parent, overrides, metadata, request;

-- name: look
-- The requests of the first ready jobs of a flow.
SELECT job.id, coalesce(job.request, large_request.message) FROM job
LEFT JOIN large_request ON large_request.job = job.id
WHERE state = $READY AND method = ? AND rank = ? AND value = ? ORDER BY job.id LIMIT ?;

-- name: put_values
-- Give a ready job the value that it has, in place of the one that says that nobody knew.
UPDATE job SET value = ? WHERE state = $READY AND value = ? AND id = ?;

-- name: checkpoints
-- The checkpoints of these jobs.
SELECT job, attempt, at, replies, state FROM checkpoint WHERE job IN (SELECT value FROM json_each(?));

-- name: drop_replies
-- Drop what an earlier attempt had replied after its last checkpoint.
DELETE FROM stream_reply WHERE job = ? AND place >= ?;

-- name: end_jobs
-- Record outcomes, each only if the attempt given holds the job.
UPDATE job SET state = ended.column5, failures = ended.column6, deaths = ended.column7, status = ended.column8,
    details = ended.column9, worker = ended.column10, reply = ended.column11, trailers = ended.column12,
    ended_at = ?1, expires_at = ?1 + job.keep_s
FROM (VALUES :rows) AS ended
WHERE job.id = ended.column1 AND job.attempt = ended.column2 AND job.state = ended.column4;

-- name: repeat_jobs
-- Let jobs wait for another attempt, each only if the attempt given holds the job.
UPDATE job SET state = again.column5, due_at = again.column6, rank = again.column7, failures = again.column8,
    deaths = again.column9, status = again.column12, details = again.column13, worker = again.column14
FROM (VALUES :rows) AS again
WHERE job.id = again.column1 AND job.attempt = again.column2 AND job.state = again.column4;

-- name: add_attempts
-- Keep what became of attempts that another one follows.
INSERT OR REPLACE INTO attempt (job, number, started_at, ended_at, outcome, status, details, worker)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: forget_handed_back
-- Forget the attempt of a job that was handed back before, now that another one is.
DELETE FROM attempt WHERE job = ? AND outcome = ?;

-- name: holders
-- The attempts that hold these jobs.
SELECT id, attempt FROM job WHERE id IN (SELECT value FROM json_each(?)) AND state IN ($RUNNING, $CANCELLING);

-- name: add_notes
-- Keep what attempts told.
INSERT OR REPLACE INTO note (job, number, at, kind, body) VALUES (?, ?, ?, ?, ?);

-- name: add_replies
-- Keep replies of server-streaming jobs.
INSERT OR REPLACE INTO stream_reply (job, place, attempt, message) VALUES (?, ?, ?, ?);

-- name: put_checkpoints
-- Replace checkpoints.
INSERT OR REPLACE INTO checkpoint (job, attempt, at, replies, state) VALUES (?, ?, ?, ?, ?);

-- name: has_dependencies
-- Whether any job waits for another.
SELECT EXISTS (SELECT 1 FROM dependency);

-- name: dependents
-- The jobs that wait for these, and for how many of them.
SELECT dependency.job, count(*) FROM json_each(?) AS parent
CROSS JOIN dependency ON dependency.parent = parent.value GROUP BY dependency.job ORDER BY dependency.job;

-- name: waiting_for
-- The jobs that wait for these.
SELECT DISTINCT job.id FROM json_each(?) AS parent
CROSS JOIN dependency ON dependency.parent = parent.value
CROSS JOIN job ON job.id = dependency.job AND job.state = $WAITING;

-- name: drop_dependencies
-- Nobody waits for these jobs any more.
DELETE FROM dependency WHERE parent IN (SELECT value FROM json_each(?));

-- name: release
-- Let a job wait for so many jobs less, and return it if it waits for none any more.
UPDATE job SET pending = pending - ?1, state = CASE
        WHEN pending > ?1 THEN state WHEN due_at > ?2 THEN $SCHEDULED ELSE $READY END
WHERE id = ?3 AND state = $WAITING
RETURNING method, state, rank, value;

-- name: cancellable
-- Those of these jobs that a cancel changes.
SELECT id, method, state, attempt FROM job
WHERE id IN (SELECT value FROM json_each(?)) AND state IN ($WAITING, $SCHEDULED, $READY, $RUNNING) ORDER BY id;

-- name: children
-- The jobs that these have submitted.
SELECT id FROM job WHERE parent IN (SELECT value FROM json_each(?)) AND parent IS NOT NULL ORDER BY id;

-- name: cancel
-- End jobs that nobody holds.
UPDATE job SET state = $CANCELLED, pending = 0, status = 1, details = ?1, ended_at = ?2, expires_at = ?2 + keep_s
WHERE id IN (SELECT value FROM json_each(?3));

-- name: ask_to_stop
-- Note that jobs which somebody holds are to stop.
UPDATE job SET state = $CANCELLING, details = ? WHERE id IN (SELECT value FROM json_each(?));

-- name: revive
-- Let a job that failed or was cancelled begin anew, and return it as it was.
SELECT id, method, state, attempt, started_at, ended_at, status, details, worker, value FROM job
WHERE id = ? AND state IN ($FAILED, $CANCELLED);

-- name: begin_anew
-- Make such a job ready.
UPDATE job SET state = $READY, rank = ?, due_at = ?, failures = 0, deaths = 0, ended_at = NULL, expires_at = NULL,
    status = NULL, details = '', worker = '', trailers = NULL, reply = NULL
WHERE id = ?;

-- name: forget_large_reply
-- Forget the reply of a job that begins anew.
DELETE FROM large_reply WHERE job IN (SELECT value FROM json_each(?));

-- name: keep_attempt
-- Keep the last attempt of a job that begins anew, unless it is kept already.
INSERT OR IGNORE INTO attempt (job, number, started_at, ended_at, outcome, status, details, worker)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: due
-- Jobs whose time has come.
SELECT id, method, rank, value FROM job WHERE state = $SCHEDULED AND due_at <= ? ORDER BY due_at, id LIMIT ?;

-- name: promote
-- Make such jobs ready.
UPDATE job SET state = $READY WHERE id IN (SELECT value FROM json_each(?));

-- name: next_due_at
-- The earliest time of a job that waits for its time.
SELECT min(due_at) FROM job WHERE state = $SCHEDULED;

-- name: expired
-- Ended jobs that are to be forgotten. Steps stay as long as the job that may ask for them again.
SELECT id, method, state FROM job WHERE expires_at <= ? AND expires_at IS NOT NULL AND (
    step IS NULL OR NOT EXISTS (
        SELECT 1 FROM job AS parent
        WHERE parent.id = job.parent AND parent.state NOT IN ($SUCCEEDED, $FAILED, $CANCELLED)
    )
) ORDER BY expires_at, id LIMIT ?;

-- name: forgettable
-- Those of these jobs that have ended.
SELECT id, method, state FROM job
WHERE id IN (SELECT value FROM json_each(?)) AND state IN ($SUCCEEDED, $FAILED, $CANCELLED);

-- name: forget
-- Forget jobs; what belongs to them is forgotten by `forget_from`.
DELETE FROM job WHERE id IN (SELECT value FROM json_each(?));

-- name: keep_last_forgotten
-- Keep the highest of the ids that are forgotten.
UPDATE forgotten SET last_job = ?1 WHERE last_job < ?1;

-- name: put_schedules
-- Create or replace schedules.
INSERT OR REPLACE INTO schedule (name, spec, next_at, last_at, last_job) VALUES (?, ?, ?, ?, ?);

-- name: remove_schedules
-- Remove a schedule.
DELETE FROM schedule WHERE name = ?;

-- name: put_tally
-- Set how many jobs of a method are in a state.
INSERT INTO tally (method, state, jobs) VALUES (?, ?, ?) ON CONFLICT (method, state) DO UPDATE SET jobs = excluded.jobs;

-- name: flows
-- The flows of a method with ready jobs, behind one of them; each is one look into the index, however many jobs it has.
WITH RECURSIVE flow (job) AS (
    SELECT (
        SELECT id FROM job WHERE state = $READY AND method = ?1 AND (rank, value) > (?2, ?3)
        ORDER BY rank, value LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT following.id FROM job AS following
        WHERE following.state = $READY AND following.method = ?1
            AND (following.rank, following.value) > (last.rank, last.value)
        ORDER BY following.rank, following.value LIMIT 1
    )
    FROM flow JOIN job AS last ON last.id = flow.job
)
SELECT job.rank, job.value FROM flow JOIN job ON job.id = flow.job LIMIT ?4;
