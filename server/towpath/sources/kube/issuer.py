"""IssuerSource: by which keys the API server signs the tokens of pods, as it publishes them.

https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable

import msgspec

from towpath.backoff import Backoff
from towpath.kubeapi.client import KubeApi, KubeApiError, decoded
from towpath.model.codes import Code
from towpath.model.credentials import TokenIssuer
from towpath.model.names import ObjectRef
from towpath.model.problem import Problem

log = logging.getLogger(__name__)

CONFIGURATION = "/.well-known/openid-configuration"
KEYS = "/openid/v1/jwks"
KEYS_MEDIA_TYPE = "application/jwk-set+json"
ANSWER_S = 10.0

REFRESH_S = 300.0
"""How often the keys are read again, so that one that was withdrawn is not used for long."""


class _Configuration(msgspec.Struct, frozen=True):
    issuer: str


_CONFIGURATION = msgspec.json.Decoder(_Configuration)


class IssuerSource:
    """Reads who signs tokens; `current` is what was published last, or was restored.

    *report* is given what is wrong, or nothing.
    """

    def __init__(
        self,
        api: KubeApi,
        *,
        report: Callable[[Iterable[Problem]], None],
        dice: random.Random | None = None,
    ) -> None:
        self._api = api
        self._report = report
        # It spreads load, and keeps no secret.
        self._backoff = Backoff(first_s=0.5, longest_s=30.0, dice=dice or random.Random())  # noqa: S311
        self._listeners: list[Callable[[TokenIssuer], None]] = []
        self.current: TokenIssuer | None = None

    def tell(self, listener: Callable[[TokenIssuer], None]) -> None:
        """Call *listener* with what is published, now and whenever it has changed."""
        self._listeners.append(listener)
        if self.current is not None:
            listener(self.current)

    def use(self, issuer: TokenIssuer) -> None:
        """Take this as what is published."""
        if issuer != self.current:
            self.current = issuer
            for listener in self._listeners:
                listener(issuer)

    async def run(self) -> None:
        """Follow what is published until cancelled."""
        while True:
            if await self._look():
                self._backoff.reset()
                await asyncio.sleep(REFRESH_S)
            else:
                await asyncio.sleep(self._backoff.next())

    async def ask(self) -> None:
        """Read what is published now; what cannot be read is reported."""
        await self._look()

    async def _look(self) -> bool:
        try:
            configuration = await self._read(CONFIGURATION, "application/json")
            keys = await self._read(KEYS, KEYS_MEDIA_TYPE)
            issuer = TokenIssuer(decoded(configuration, _CONFIGURATION).issuer, keys.decode())
        except (KubeApiError, UnicodeDecodeError) as error:
            self._failed(error)
            return False
        self._report(())
        self.use(issuer)
        return True

    async def _read(self, path: str, media_type: str) -> bytes:
        return await self._api.get(path, {}, timeout_s=ANSWER_S, accept=media_type)

    def _failed(self, error: KubeApiError | UnicodeDecodeError) -> None:
        code, text = Code.UNREADABLE_KEYS, f"cannot be read: {error}"
        if isinstance(error, KubeApiError) and error.forbidden:
            grant = f'nonResourceURLs: ["{CONFIGURATION}", "{KEYS}"], verbs: [get]'
            code, text = Code.FORBIDDEN_KEYS, f"{error} (grant by RBAC: {grant})"
        log.warning("the keys of pods' tokens: %s", text)
        text += "; tokens are judged by the keys read last, if there are any"
        self._report((Problem(ObjectRef("APIResource", "", KEYS), "", code, text),))
