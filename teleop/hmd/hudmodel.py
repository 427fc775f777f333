"""What the operator is told, as a plain value: a pure function of what is known.

The page `/xr` has the same model in `page/hudmodel.js`; words and colours agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from teleop.protocol import Notice, Status

Colour = tuple[int, int, int]

TEXT: Colour = (244, 246, 248)
DIM: Colour = (170, 180, 192)
GREY: Colour = (91, 102, 115)
GREEN: Colour = (31, 157, 85)
AMBER: Colour = (217, 138, 0)
BLUE: Colour = (47, 127, 224)
RED: Colour = (217, 45, 32)

MOTION = {
    "idle": ("IDLE", GREY),
    "aligning": ("ALIGNING", BLUE),
    "engaged": ("ENGAGED", GREEN),
    "hold": ("HOLD", AMBER),
    "homing": ("HOMING", BLUE),
    "estop": ("E-STOP", RED),
}
STALE_S = 1.5
"""Without a status for this long the numbers shown are history."""
NOTICE_S = 4.0
MAX_LINES = 4
LINE_LENGTH = 50


@dataclass(frozen=True)
class Line:
    """Words in a colour."""

    text: str
    colour: Colour


@dataclass(frozen=True)
class Banner:
    """What comes before everything else."""

    title: str
    text: str
    colour: Colour


@dataclass(frozen=True)
class HudInput:
    """What the HUD is made of.

    Attributes:
        status: The newest of the server.
        status_age_s: Since it came; None before the first.
        is_open: There is a connection.
        reason: Why there is none.
        has_claim: This client operates the robot.
        holder: Who does instead; None when nobody is in the way.
        grip_held: A deadman is pressed.
        latency_ms: Name -> milliseconds, those that are known.
        notices: With the age of each [s].
    """

    status: Status | None = None
    status_age_s: float | None = None
    is_open: bool = False
    reason: str = ""
    has_claim: bool = False
    holder: str | None = None
    grip_held: bool = False
    latency_ms: dict[str, float] = field(default_factory=dict)
    notices: tuple[tuple[float, Notice], ...] = ()


@dataclass(frozen=True)
class HudModel:
    """Everything that is drawn; equal models look the same."""

    motion: Line
    arms: tuple[bool, bool]
    recording: Line
    is_rolling: bool
    latency: tuple[str, ...]
    tracking: tuple[tuple[str, str], ...]
    task: str
    prompt: str
    countdown: str
    review: bool
    grade: int | None
    by_hand: bool
    gesture: tuple[str, float] | None
    banner: Banner | None
    lines: tuple[Line, ...]


def hud_model(known: HudInput) -> HudModel:
    """The HUD of what is known."""
    status = known.status
    if status is None:
        nothing = Line("not recording", GREY)
        return HudModel(
            Line("…", GREY), (False, False), nothing, False, (), _tracking(None), "", "", "",
            False, None, False, None, _banner(known), (),
        )  # fmt: skip
    text, colour = MOTION.get(status.motion, (status.motion.upper(), GREY))
    gesture = status.gesture
    return HudModel(
        motion=Line(text, colour),
        arms=(bool(status.engaged[0]), bool(status.engaged[1])),
        recording=_recording(status),
        is_rolling=status.recording in ("recording", "paused"),
        latency=_latency(known.latency_ms),
        tracking=_tracking(status),
        task=_task(status),
        prompt=_prompt(known, status),
        countdown=_countdown(status),
        review=status.review,
        grade=status.grade,
        by_hand=status.input == "hands",
        gesture=(gesture.text, gesture.share) if gesture is not None else None,
        banner=_banner(known),
        lines=_lines(known, status),
    )


def two_lines(text: str) -> list[str]:
    """One line, or two of about the same length that break after a comma."""
    commas = [k + 1 for k in range(len(text) - 1) if text[k : k + 2] == ", "]
    if len(text) <= LINE_LENGTH or not commas:
        return [text]
    at = min(commas, key=lambda k: abs(k - len(text) / 2))
    return [text[:at], text[at + 1 :]]


def clock_text(seconds: float) -> str:
    """Such as `1:07`."""
    whole = max(0, math.floor(seconds))
    return f"{whole // 60}:{whole % 60:02d}"


def _task(status: Status) -> str:
    plan = status.plan
    if plan is None:
        return status.task
    if not plan.wanted:
        return f"Plan done: {plan.total_done} of {plan.total_wanted} takes"
    words = (status.task, plan.variation, f"{plan.done} of {plan.wanted}")
    return " · ".join(word for word in words if word)


def _tracking(status: Status | None) -> tuple[tuple[str, str], ...]:
    if status is None:
        return (("head", "absent"), ("left", "absent"), ("right", "absent"))
    seen = status.tracking
    return (("head", seen.head), ("left", seen.left), ("right", seen.right))


def _recording(status: Status) -> Line:
    take, time = f"take {status.take}", clock_text(status.recording_s)
    return {
        "countdown": Line(f"{take} starts", AMBER),
        "recording": Line(f"REC  {take}  {time}", RED),
        "paused": Line(f"PAUSED  {take}  {time}", AMBER),
        "review": Line(f"REVIEW  {take}  {time}", BLUE),
    }.get(status.recording, Line("not recording", GREY))


def _countdown(status: Status) -> str:
    if status.recording != "countdown":
        return ""
    return str(max(1, math.ceil(status.countdown_s)))


def _latency(latency_ms: dict[str, float]) -> tuple[str, ...]:
    return tuple(
        f"{name} {ms:.1f} ms" if ms < 10.0 else f"{name} {ms:.0f} ms"
        for name, ms in latency_ms.items()
    )


def _prompt(known: HudInput, status: Status) -> str:
    if not known.has_claim:
        return ""
    if status.motion == "hold" and known.grip_held and not status.review:
        return "Let go of the grips, then hold again."
    return status.prompt


def _banner(known: HudInput) -> Banner | None:
    if not known.is_open:
        reason = known.reason or "Connecting…"
        return Banner("NO CONNECTION", f"The robot holds. {reason}", RED)
    status = known.status
    if status is not None and status.motion == "estop":
        how = (
            "Open both hands, turn the left palm to your face, keep the index pinch for "
            "2 s to reset."
            if status.input == "hands"
            else "Release both grips, then hold X for one second to reset."
        )
        return Banner("E-STOP", how, RED)
    if known.status_age_s is not None and known.status_age_s > STALE_S:
        return Banner("SERVER SILENT", "No status from the robot's computer.", RED)
    if known.holder is not None:
        who = known.holder or "Another operator"
        return Banner("WATCHING ONLY", f"{who} has the robot.", AMBER)
    return None


def _lines(known: HudInput, status: Status) -> tuple[Line, ...]:
    lines = [Line(text, AMBER) for text in status.notices]
    colours = {"error": RED, "warning": AMBER}
    lines += [
        Line(notice.text, colours.get(notice.level, GREY))
        for age_s, notice in known.notices
        if age_s <= NOTICE_S
    ]
    if status.drops:
        lines.append(Line(f"{status.drops} rows lost in this take", RED))
    last = status.last_take
    if status.review and last is not None and last.verdict != "pass":
        first = last.reasons[0] if last.reasons else ""
        more = f" (and {len(last.reasons) - 1} more)" if len(last.reasons) > 1 else ""
        colour = RED if last.verdict == "fail" else AMBER
        lines.append(Line(f"Check: {last.verdict}. {first}{more}", colour))
    return tuple(lines[-MAX_LINES:])
