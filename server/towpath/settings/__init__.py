"""Every setting of the control plane, declared once."""

from towpath.settings.settings import Settings, SettingsError, setting_help, split_address

__all__ = ["Settings", "SettingsError", "setting_help", "split_address"]
