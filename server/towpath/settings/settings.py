"""All settings: the groups, and each setting by its name."""

from __future__ import annotations

import functools
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from towpath.settings.access import AccessSettings
from towpath.settings.declaration import Group, Setting, SettingsError, declared
from towpath.settings.injection import InjectionSettings
from towpath.settings.limits import ConnectionLimits, StreamLimits
from towpath.settings.process import ProcessSettings
from towpath.settings.push import DebounceSettings, RolloutSettings
from towpath.settings.source import MeshSettings, SourceSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What `towpath serve` can be given."""

    source: SourceSettings = SourceSettings()
    mesh: MeshSettings = MeshSettings()
    access: AccessSettings = AccessSettings()
    injection: InjectionSettings = InjectionSettings()
    debounce: DebounceSettings = DebounceSettings()
    rollout: RolloutSettings = RolloutSettings()
    streams: StreamLimits = StreamLimits()
    connections: ConnectionLimits = ConnectionLimits()
    process: ProcessSettings = ProcessSettings()

    def __post_init__(self) -> None:
        if self.source.manifests is not None and self.access.ads_token_address:
            raise SettingsError(
                "--manifests and --ads-token-address: a folder has no API server, whose keys pods' "
                "tokens are judged by"
            )

    @property
    def texts(self) -> dict[str, str]:
        """Every setting as text, by its name; none is a secret."""
        return {
            one.name: str(getattr(getattr(self, name), one.name))
            for name, group in groups().items()
            for one in declared(group)
        }

    @classmethod
    def of(cls, **values: Any) -> Settings:
        """With these values, by the settings' names. Raises SettingsError if one is not allowed."""
        if unknown := values.keys() - all_settings().keys():
            raise TypeError(f"these are not settings: {', '.join(sorted(unknown))}")
        parts: dict[str, Any] = {}
        for name, group in groups().items():
            own = [setting.name for setting in declared(group)]
            parts[name] = group(**{name: values[name] for name in own if name in values})
        return cls(**parts)


@functools.cache
def groups() -> Mapping[str, type[Group]]:
    """The groups by their names in `Settings`."""
    return MappingProxyType(typing.get_type_hints(Settings))


@functools.cache
def all_settings() -> Mapping[str, Setting]:
    """Every setting by its name, group by group."""
    return MappingProxyType({s.name: s for group in groups().values() for s in declared(group)})
