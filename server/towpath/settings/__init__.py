"""Every setting of the control plane, declared once, in the group of its subject.

A group is a frozen value that a part is built with: the part has no defaults of its own. The name
of a setting, its bounds, unit and sentence make its flag, environment variable, key of a
configuration file, check, `--help` and row in docs/operate.md. Begin with `declaration`, then any
group. It does no I/O, and knows nothing of the command line.
"""

from towpath.settings.access import AccessSettings
from towpath.settings.addresses import split_address
from towpath.settings.declaration import Group, Setting, SettingsError, declared
from towpath.settings.injection import InjectionSettings
from towpath.settings.limits import ConnectionLimits, StreamLimits
from towpath.settings.process import ProcessSettings
from towpath.settings.push import DebounceSettings, RolloutSettings
from towpath.settings.settings import Settings, all_settings, groups
from towpath.settings.source import MeshSettings, SourceSettings

__all__ = [
    "AccessSettings",
    "ConnectionLimits",
    "DebounceSettings",
    "Group",
    "InjectionSettings",
    "MeshSettings",
    "ProcessSettings",
    "RolloutSettings",
    "Setting",
    "Settings",
    "SettingsError",
    "SourceSettings",
    "StreamLimits",
    "all_settings",
    "declared",
    "groups",
    "split_address",
]
