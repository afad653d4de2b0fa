"""What is known of methods: their options, from contracts and from the store, and the store's numbers for them."""

from collections.abc import Callable, Mapping, Sequence

from portcall.core.jobs.batch import MethodIds, Stored
from portcall.core.jobs.dispatch import Dispatch
from portcall.core.jobs.flight import Announcement
from portcall.core.jobs.policy import Policy, PolicyError, override, parse_policy
from portcall.protos.portcall.v1.options_pb2 import JobOptions, JobOverrides

OVERRIDES_REMEMBERED_MAX = 1_000


class Methods:
    """Keeps the policies that jobs were submitted with, and those that methods have now."""

    def __init__(self, dispatch: Dispatch, stored: Stored, now: float) -> None:
        self._dispatch = dispatch
        self._policies = {number: _parsed(options) for number, options in stored.policies.items()}
        self._overridden: dict[tuple[int, bytes], Policy] = {}
        for row in stored.methods:
            method = dispatch.method(row.name, now)
            method.id, method.policy_id = row.id, row.policy
            method.options, method.policy = stored.policies[row.policy], self._policies[row.policy]
            dispatch.by_id[row.id] = method
            dispatch.limits_changed(method, now)
        for number in stored.ready_methods:
            dispatch.reread(dispatch.by_id[number])

    def know(self, name: str, options: JobOptions, read_value: Callable[[bytes], str] | None, now: float) -> None:
        """Take the newest options of a method.

        Raises:
            PolicyError: they cannot be; the message names the method.
        """
        try:
            policy = parse_policy(options)
        except PolicyError as error:
            raise PolicyError(f"{name}: {error}") from None
        method = self._dispatch.method(name, now)
        method.is_known, method.read_value, method.plain_value = True, read_value, ""
        serialised = options.SerializeToString(deterministic=True)
        if serialised == method.options:
            return
        method.options, method.policy, method.policy_id = serialised, policy, 0
        self._dispatch.limits_changed(method, now)

    def announce(self) -> list[Announcement]:
        """Return the methods that the store has to be told of."""
        return [
            Announcement(method=method, options=method.options, policy=method.policy)
            for method in self._dispatch.methods.values()
            if not method.policy_id
        ]

    def take(self, announced: Sequence[Announcement], numbers: Mapping[str, MethodIds]) -> None:
        """Take the store's numbers for what it was told."""
        for one in announced:
            method, ids = one.method, numbers[one.method.name]
            method.id = ids.method
            self._dispatch.by_id[ids.method] = method
            self._policies[ids.policy] = one.policy
            if method.options == one.options:
                method.policy_id = ids.policy

    def policy_of(self, number: int, overrides: bytes | None) -> Policy:
        """Return the policy that a job was submitted with."""
        policy = self._policies[number]
        if overrides is None:
            return policy
        found = self._overridden.get((number, overrides))
        if found is None:
            if len(self._overridden) >= OVERRIDES_REMEMBERED_MAX:
                self._overridden.clear()
            found = self._overridden[number, overrides] = override(policy, JobOverrides.FromString(overrides))
        return found


def _parsed(options: bytes) -> Policy:
    """Return the policy of stored options, of which a newer Portcall may have written some that are not known here."""
    try:
        return parse_policy(JobOptions.FromString(options))
    except PolicyError:
        return Policy()
