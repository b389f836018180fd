"""The two variants of the protocol, each as one value: how its requests are read, and what takes
them (XP, «Four variants»).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from towpath.settings import StreamLimits
from towpath.wire_format import BYTES
from towpath.xds.delta import DeltaSubstream
from towpath.xds.full_state import FullState
from towpath.xds.messages import Request
from towpath.xds.parse import DELTA_NONCE, SOTW_NONCE, parse_delta, parse_sotw
from towpath.xds.partial import Partial
from towpath.xds.sotw import SotwSubstream
from towpath.xds.substream import FULL_STATE, Substream
from towpath.xds.view import View
from towpath.xds.wire import Composer


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant: its `name` for people and metrics, and what the gRPC methods of all its services
    begin with.
    """

    name: str
    method: str
    parse: Callable[[bytes, StreamLimits], Request]
    nonce_tag: int
    """What a nonce in a request's bytes begins with: its field's number and type."""
    substream: Callable[..., Substream[Any]]
    """Called as `Substream`, without the last of its arguments."""


def _sotw(
    type_url: str, view: View, *, composer: Composer, nonce: Callable[[], str]
) -> SotwSubstream:
    substream = FullState if type_url in FULL_STATE else Partial
    return substream(type_url, view, composer=composer, nonce=nonce)


SOTW = Variant("sotw", "Stream", parse_sotw, SOTW_NONCE << 3 | BYTES, _sotw)
DELTA = Variant("delta", "Delta", parse_delta, DELTA_NONCE << 3 | BYTES, DeltaSubstream)
