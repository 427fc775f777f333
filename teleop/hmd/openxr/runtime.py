"""The OpenXR instance: which runtime, which headset, which of its extensions are used."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Self

import xr

from teleop.hmd.openxr.errors import HeadsetMissingError, RuntimeLostError, RuntimeMissingError

HEADLESS = "XR_MND_headless"
OPENGL = "XR_KHR_opengl_enable"
EGL = "XR_MNDX_egl_enable"
HAND_TRACKING = "XR_EXT_hand_tracking"
REFRESH_RATE = "XR_FB_display_refresh_rate"
TIMESPEC = "XR_KHR_convert_timespec_time"
PERFORMANCE_COUNTER = "XR_KHR_win32_convert_performance_counter_time"
USER_PRESENCE = "XR_EXT_user_presence"
LOCAL_FLOOR = "XR_EXT_local_floor"
CLOCK = PERFORMANCE_COUNTER if sys.platform == "win32" else TIMESPEC
OPTIONAL = (HAND_TRACKING, REFRESH_RATE, CLOCK, USER_PRESENCE, LOCAL_FLOOR)
"""Used where the runtime has them."""
API_VERSION = (1, 0, 0)
"""Lowest that has all that is used: older runtimes then accept it too."""
LOST = (xr.InstanceLostError, xr.exception.SessionLostError, xr.exception.RuntimeUnavailableError)

HINT = (
    "start the headset's software (SteamVR, Monado, Meta Quest Link, …) and set it as the OpenXR "
    "runtime; without a headset use the page /xr in any browser"
)


@dataclass
class Runtime:
    """An instance and its headset; a context manager.

    Attributes:
        instance: `XrInstance`.
        system: `XrSystemId` of the headset.
        name: Of the runtime, with its version.
        headset: Its name for the headset.
        extensions: Those that are enabled.
    """

    instance: Any
    system: int
    name: str
    headset: str
    extensions: frozenset[str]
    _closed: bool = field(default=False, repr=False)

    @classmethod
    def open(cls, needed: Collection[str], profiles: Collection[str] = ()) -> Self:
        """Connect to the runtime.

        Args:
            needed: Extensions without which there is nothing to do.
            profiles: Extensions that bring interaction profiles; used where there are.

        Raises:
            RuntimeMissingError: There is none, or it lacks a needed extension.
            HeadsetMissingError: It has no headset.
        """
        offered = available_extensions()
        missing = sorted(set(needed) - offered)
        if missing:
            raise RuntimeMissingError(
                f"the OpenXR runtime does not offer {', '.join(missing)}; it offers "
                f"{', '.join(sorted(offered))}"
            )
        wanted = {*needed, *((set(OPTIONAL) | set(profiles)) & offered)}
        instance = _create(sorted(wanted))
        try:
            system = xr.get_system(instance)
            words = xr.get_instance_properties(instance)
            about = xr.get_system_properties(instance, system)
        except xr.FormFactorUnavailableError as error:
            xr.destroy_instance(instance)
            raise HeadsetMissingError(
                "the OpenXR runtime has no headset right now: switch it on and connect it"
            ) from error
        except xr.XrException as error:
            xr.destroy_instance(instance)
            raise RuntimeMissingError(f"the OpenXR runtime failed: {error}; {HINT}") from error
        version = xr.Version(words.runtime_version)
        name = f"{_text(words.runtime_name)} {version}"
        return cls(instance, system, name, _text(about.system_name), frozenset(wanted))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the runtime go; harmless when it is already dead."""
        if not self._closed:
            self._closed = True
            try:
                xr.destroy_instance(self.instance)
            except xr.XrException:
                return

    def has(self, extension: str) -> bool:
        """Whether an extension is enabled."""
        return extension in self.extensions

    def function(self, name: str, prototype: Any) -> Any:
        """A function of an extension that the bindings do not wrap, or wrap wrongly."""
        return ctypes.cast(xr.get_instance_proc_addr(self.instance, name), prototype)


def available_extensions() -> set[str]:
    """Names of what the runtime offers.

    Raises:
        RuntimeMissingError: There is no runtime, or it does not answer.
    """
    try:
        found = xr.enumerate_instance_extension_properties()
    except (xr.XrException, OSError) as error:
        raise RuntimeMissingError(f"no OpenXR runtime answers ({error}): {HINT}") from error
    return {_text(item.extension_name) for item in found}


def _create(extensions: list[str]) -> Any:
    info = xr.InstanceCreateInfo(
        enabled_extension_names=extensions,
        application_info=xr.ApplicationInfo("telecap", 1, "telecap", 1, xr.Version(*API_VERSION)),
    )
    try:
        return xr.create_instance(info)
    except (xr.XrException, OSError) as error:
        raise RuntimeMissingError(f"the OpenXR runtime refused ({error}): {HINT}") from error


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def lost(error: Exception) -> RuntimeLostError:
    """What to raise for one of `LOST`."""
    return RuntimeLostError(f"the OpenXR runtime went away: {error}")
