"""`portcall schedules`: jobs that the hub submits by itself, by cron or at intervals."""
