"""What kind of world a seed makes. Each seed leaves out some kinds of trouble, so that the others get further."""

from dataclasses import dataclass
from random import Random

from portcall.core.jobs.limits import JobLimits
from portcall.protos.portcall.v1.options_pb2 import Backoff, By, JobOptions, Limit, Rate

FAULTS = (
    "hub_dies",
    "worker_dies",
    "link_drops",
    "worker_drains",
    "store_fails",
    "clock_jumps",
    "contract_changes",
    "slots",
)
TROUBLES = ("cancel", "retry", "purge", "failure", "timeout", "poison", "children", "schedule", "after", "key", "delay")

PLAIN = "/sim.Jobs/Plain"
LIMITED = "/sim.Jobs/Limited"
BY_SITE = "/sim.Jobs/BySite"
RATED = "/sim.Jobs/Rated"
HASTY = "/sim.Jobs/Hasty"
STREAM = "/sim.Jobs/Stream"
METHODS = (PLAIN, LIMITED, BY_SITE, RATED, HASTY, STREAM)

_QUICK = Backoff(initial_s=0.02, max_s=0.2)


def options_of(method: str, rng: Random) -> JobOptions:
    """What a contract says of a method; another version of it may say something else."""
    match method:
        case "/sim.Jobs/Limited":
            return JobOptions(attempts=3, backoff=_QUICK, limit=Limit(running=rng.randint(1, 3)))
        case "/sim.Jobs/BySite":
            each = Limit(running=rng.randint(1, 2))
            return JobOptions(attempts=4, backoff=_QUICK, by=By(field="site", limit=each), timeout_s=0.5)
        case "/sim.Jobs/Rated":
            rate = Rate(starts=rng.randint(1, 3), per_s=0.1)
            each = Limit(rate=rate, running=rng.choice((None, 1)))
            return JobOptions(attempts=3, backoff=_QUICK, by=By(field="site", limit=each))
        case "/sim.Jobs/Hasty":
            return JobOptions(
                attempts=2, backoff=Backoff(initial_s=0, max_s=0), deaths=2, keep_s=rng.choice((0.2, 5.0))
            )
        case _:
            return JobOptions(backoff=_QUICK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The make-up of one world. Times in seconds."""

    workers: int
    jobs_max: int
    faults: tuple[str, ...]
    troubles: tuple[str, ...]
    fault_mean_s: float
    think_mean_s: float
    latency_mean_s: float
    flush_mean_s: float
    """How long the store takes for a batch."""
    work_mean_s: float
    grace_s: float
    """How long a link may be away before its worker is given up."""
    sites: int
    limits: JobLimits


def draw_profile(rng: Random) -> Profile:
    """Return the make-up of a world."""
    is_calm = rng.random() < 0.1
    return Profile(
        workers=rng.randint(1, 4),
        jobs_max=rng.choice((10, 40, 120)),
        faults=() if is_calm else tuple(fault for fault in FAULTS if rng.random() < 0.5),
        troubles=() if is_calm else tuple(trouble for trouble in TROUBLES if rng.random() < 0.5),
        fault_mean_s=rng.choice((0.05, 0.2)),
        think_mean_s=rng.choice((0.001, 0.01, 0.03)),
        latency_mean_s=rng.choice((0.0005, 0.005, 0.03)),
        flush_mean_s=rng.choice((0.0005, 0.01, 0.05)),
        work_mean_s=rng.choice((0.002, 0.02, 0.1)),
        grace_s=0.2,
        sites=rng.choice((1, 3, 20)),
        limits=JobLimits(
            submissions_waiting_max=rng.choice((5, 100_000)),
            batch_jobs_max=rng.choice((1, 3, 1_000)),
            adopt_s=rng.choice((0.1, 1.0)),
            flows_max=rng.choice((2, 5, 10_000)),
            values_max=rng.choice((3, 1_000)),
            purge_every_s=0.1,
            progress_every_s=0.05,
            store_retry_s=0.05,
            ended_max=10_000 if is_calm else rng.choice((20, 10_000)),
        ),
    )
