"""Checks the token of every call before anything else is done for it, and follows the token file as it changes."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import grpc

from portcall.errors import ConfigurationError
from portcall.hub.ingress import Ingress
from portcall.hub.tokens import Admission, Refusal, Role, Token, Tokens, decide, digest, parse_tokens, still_admits
from portcall.wire.metadata import MetadataTuple
from portcall.wire.tokens import is_readable_by_others, read_text

logger = logging.getLogger("portcall.hub")

REREAD_S = 1.0
"""How often the token file is looked at. A change counts when two looks have seen the same: while a file is written, it
has fewer tokens for a moment."""

SAME_REFUSAL_S = 60.0
"""Refusals that look alike are logged once in this time, with their number."""

REFUSALS_KEPT_MAX = 1_000

Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"
Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"


class Guard:
    """Admits calls by their tokens. Has to be made in the event loop that it is used in."""

    def __init__(self, *, file: Path | None = None, text: str = "", reread_s: float = REREAD_S) -> None:
        """Take the tokens of a file, or else of a text of the same form.

        Raises:
            ConfigurationError: the file cannot be read, or a line of it is wrong.
        """
        self._file = file
        self._reread_s = reread_s
        self._key = secrets.token_bytes(32)
        if file is not None:
            text = read_text(file, "the token file")
        self._taken = digest(text, self._key)
        self._tokens: Tokens = parse_tokens(text, str(file or "the hub's token"), self._key)
        self._listeners: list[Callable[[], None]] = []
        self._watching: asyncio.Task[None] | None = None
        self._log = RefusalLog()
        self.refusals = {grpc.StatusCode.UNAUTHENTICATED: 0, grpc.StatusCode.PERMISSION_DENIED: 0}
        """How many calls and streams were refused, by status, since the hub started."""

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call this whenever the tokens have changed."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Follow the file, if there is one, in a task of the guard's own."""
        if self._file is None:
            return
        if is_readable_by_others(self._file):
            logger.warning("Every user of this machine can read the tokens: chmod o-r %s", self._file)
        self._watching = asyncio.get_running_loop().create_task(self._watch(self._file), name="token file")

    async def stop(self) -> None:
        """Stop following the file. Idempotent."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    def judge(self, role: Role, metadata: MetadataTuple) -> Admission | Refusal:
        """Say whether a call with this metadata may be made in a role."""
        return decide(self._tokens, self._key, role, metadata)

    def still_admits(self, token: Token, role: Role) -> bool:
        """Whether what was admitted with a token would be admitted now."""
        return still_admits(self._tokens, token, role)

    async def refuse(self, refusal: Refusal, kind: str, context: Context, *, method: str = "") -> NoReturn:
        """Count, log and end a call or link that may not be made; the peer has chosen its method."""
        self.refusals[refusal.code] += 1
        alike = self._log.admit(context.peer(), f"{kind}: {refusal.details}", time.monotonic())
        if alike is not None:
            more = f" ({alike} more like it since the last time)" if alike else ""
            what, words = f"{kind} of {method}" if method else kind, f"{refusal.details}{more}"
            logger.warning("%s: refused %s at %s: %s", refusal.code.name, what, context.peer(), words)
        await context.abort(refusal.code, refusal.details)

    async def _watch(self, file: Path) -> None:
        """Take up each new version of the file that has no mistake; keep the one before otherwise."""
        before = self._taken
        while True:
            await asyncio.sleep(self._reread_s)
            try:
                before = self._look(file, before)
            except Exception:
                # A defect of ours must not keep tokens in force that were taken away.
                logger.exception("The token file %s was looked at in vain", file)

    def _look(self, file: Path, before: bytes) -> bytes:
        """Take up what is in the file if the look before saw the same; return what to compare the next look with."""
        text = self._read(file)
        if text is None:
            return before
        seen = digest(text, self._key)
        if seen == before and seen != self._taken:
            self._taken = seen
            self._take(file, text)
        return seen

    def _read(self, file: Path) -> str | None:
        """Return what is in the file, or None if it cannot be read, which is said once a minute."""
        try:
            return read_text(file, "the token file")
        except ConfigurationError as error:
            if self._log.admit("", str(error), time.monotonic()) is not None:
                logger.error("The tokens stay as they were: %s", error)  # noqa: TRY400  # nobody needs the trace
            return None

    def _take(self, file: Path, text: str) -> None:
        try:
            tokens = parse_tokens(text, str(file), self._key)
        except ConfigurationError as error:
            logger.error("The tokens stay as they were: %s", error)  # noqa: TRY400  # nobody needs the trace
            return
        logger.info("Took up %s: %d tokens, before %d", file, len(tokens), len(self._tokens))
        self._tokens = tokens
        for listener in self._listeners:
            listener()


class RefusalLog:
    """Keeps a flood of refusals from flooding the log: those of one host for one reason are told once a minute."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def admit(self, peer: str, reason: str, now: float) -> int | None:
        """Return None if one like this was told just now, and else how many were not told since the last one was."""
        key = (peer.rpartition(":")[0], reason)
        at, untold = self._last.pop(key, (now - SAME_REFUSAL_S, 0))
        is_due = now - at >= SAME_REFUSAL_S
        self._last[key] = (now, 0) if is_due else (at, untold + 1)
        if len(self._last) > REFUSALS_KEPT_MAX:
            self._last.popitem(last=False)
        return untold if is_due else None


class Guarded(grpc.GenericRpcHandler):
    """Puts a guard before native calls, which need the role client. A refused call's request is not even read."""

    def __init__(
        self, guard: Guard, answering: Sequence[grpc.GenericRpcHandler], ingress: Ingress, hiding_ingress: Ingress
    ) -> None:
        """Guard the hub's own services, `answering`, and the ingress that has all other methods.

        Calls whose `authorization` was for the hub go to the one that hides it from workers.
        """
        self._guard = guard
        self._answering = answering
        self._ingress = ingress
        self._hiding_ingress = hiding_ingress

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Return the handler of a call, or one that refuses it."""
        details = handler_call_details
        verdict = self._guard.judge(Role.CLIENT, details.invocation_metadata)
        if isinstance(verdict, Refusal):
            return self._refusing(verdict, details.method)
        for services in self._answering:
            handler = services.service(details)
            if handler is not None:
                return handler
        return (self._hiding_ingress if verdict.is_in_authorization else self._ingress).service(details)

    def _refusing(self, refusal: Refusal, method: str) -> Handler:
        async def refuse(_: object, context: Context) -> None:
            await self._guard.refuse(refusal, "a call", context, method=method)

        return grpc.stream_stream_rpc_method_handler(refuse)
