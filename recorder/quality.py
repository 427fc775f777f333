"""The check after a take: is this episode fit for training, and if not, why.

Half a second for a minute of data, so that it runs while the operator decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from recorder import checks
from recorder.camera import CameraStream
from recorder.episode import Episode
from recorder.findings import Finding, Level, QualityReport, Thresholds, Verdict
from recorder.numeric import Stream

STATE = "state"
SESSION = "session"
SOLUTION = "solution"
REQUESTED = "command/requested"
SENT = "command/sent"
OPERATOR = "operator/"


def _span(found: Sequence[float]) -> str:
    return f"{found[0]:.1f} to {found[-1]:.1f}"


def check_episode(episode: Episode, thresholds: Thresholds | None = None) -> QualityReport:
    """Check one finished episode, or what a trim or a part leaves of it."""
    return _Check(episode, thresholds or Thresholds()).run()


class _Check:
    """Measures, notes metrics, and collects findings for one episode."""

    def __init__(self, episode: Episode, limits: Thresholds) -> None:
        self.episode = episode
        self.limits = limits
        self.metrics: dict[str, Any] = {}
        self.findings: list[Finding] = []
        self.events = episode.events
        self.span_ns = first_ns, last_ns = episode.span_ns
        pauses = checks.pauses(self.events, episode.end_ns)
        self.paused = checks.within(pauses, first_ns, last_ns)
        self.streams = {name: episode.stream(name) for name in episode.streams}
        self.cameras = {name: episode.camera(name) for name in episode.cameras}
        self.is_cut = self.span_ns != (episode.start_ns, episode.end_ns)
        if self.is_cut:
            if SESSION in self.streams:  # what holds at the beginning was told before it
                told_ns = self.streams[SESSION].t_ns
                first_ns = int(max(told_ns[told_ns <= first_ns], default=first_ns))
            begins = {SESSION: first_ns}
            self.streams = {
                name: stream.between(begins.get(name, self.span_ns[0]), last_ns)
                for name, stream in self.streams.items()
            }
            self.cameras = {n: c.between(*self.span_ns) for n, c in self.cameras.items()}

    def run(self) -> QualityReport:
        parts: Sequence[Callable[[], None]] = (
            self.integrity,
            self.stream_timing,
            self.camera_timing,
            self.skew,
            self.clocks,
            self.drops,
            self.operator,
            self.robot,
            self.solver,
            self.latency,
            self.pictures,
        )
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is a finding
            for part in parts:
                part()
        self.findings.sort(key=lambda f: f.level != "fail")
        worst: Verdict = self.findings[0].level if self.findings else "pass"
        return QualityReport(worst, tuple(self.findings), self.metrics)

    def integrity(self) -> None:
        attributes = self.episode.attributes
        first_ns, last_ns = self.span_ns
        duration_s = (last_ns - first_ns) / 1e9
        self.metrics["duration_s"] = duration_s
        self.metrics["paused_s"] = sum(last - first for first, last in self.paused) / 1e9
        self.below("duration", "take lasts", duration_s, self.limits.duration_s, "s")
        if "failed" in attributes:
            self.add("fail", "write_failed", attributes["failed"]["message"])
        if self.episode.state == "recovered":
            self.add("warn", "recovered", "the writer was interrupted; the take was recovered")
        if attributes.get("interrupted") and last_ns >= self.episode.end_ns:
            self.add("warn", "interrupted", f"take interrupted: {attributes['interrupted']}")

    def stream_timing(self) -> None:
        self.metrics["streams"] = {}
        for name, stream in self.streams.items():
            found = checks.timing(stream.t_ns, self.paused)
            self.metrics["streams"][name] = found
            if "seq" in stream:
                found["missing"] = checks.missing_numbers(stream["seq"])
            if len(stream):
                self.judge_timing(name, stream.rate_hz, found, self.limits.rate_error)
            elif not name.startswith(OPERATOR):
                level: Level = "fail" if name == STATE else "warn"
                self.add(level, "empty", f"stream {name} has no rows")
        operator = [s for n, s in self.streams.items() if n.startswith(OPERATOR)]
        if operator and not any(len(s) for s in operator):
            self.add("warn", "empty", "there are no operator poses")

    def camera_timing(self) -> None:
        self.metrics["cameras"] = {}
        for name, camera in self.cameras.items():
            found = checks.timing(camera.t_ns, self.paused)
            found["missing"] = checks.missing_numbers(camera.seq)
            self.metrics["cameras"][name] = found
            if len(camera):
                self.judge_timing(f"camera {name}", camera.rate_hz, found, (None, None))
            else:
                self.add("fail", "empty", f"camera {name} has no pictures")
        self.camera_rates()

    def camera_rates(self) -> None:
        """One finding for all cameras of a nominal rate that missed it: they share the cause."""
        rates = {name: found["rate_hz"] for name, found in self.metrics["cameras"].items()}
        late: dict[float, list[str]] = {}
        for name, camera in self.cameras.items():
            nominal = camera.rate_hz
            if nominal > 0 and len(camera) > 1 and self._camera_off(rates[name], nominal):
                late.setdefault(nominal, []).append(name)
        for nominal, names in late.items():
            found = sorted(rates[name] for name in names)
            span = f"{found[0]:.1f}" if found[-1] - found[0] < 0.1 else _span(found)
            which = f"camera {names[0]}" if len(names) == 1 else f"{len(names)} cameras"
            error = max(abs(rate_hz / nominal - 1.0) for rate_hz in found)
            what = f"{which} at {span} Hz of {nominal:g}: off by"
            self.above("rate", what, error, self.limits.picture_error)

    def _camera_off(self, rate_hz: float, nominal: float) -> bool:
        limits = [limit for limit in self.limits.picture_error if limit is not None]
        return bool(limits) and abs(rate_hz / nominal - 1.0) > min(limits)

    def judge_timing(
        self, name: str, nominal: float, found: dict[str, float], rate: tuple[Any, Any]
    ) -> None:
        if found["backward"]:
            count = found["backward"]
            self.add("fail", "clock", f"time of {name} runs backwards {count} times", count)
        if nominal <= 0 or found["rows"] < 2:
            return
        error = abs(found["rate_hz"] / nominal - 1.0)
        what = f"{name} ran at {found['rate_hz']:.1f} Hz, nominal {nominal:g} Hz: off by"
        self.above("rate", what, error, rate)
        gap = found["max_gap_s"] * nominal
        self.above("gap", f"{name} has a gap of", gap, self.limits.gap_periods, " periods")

    def skew(self) -> None:
        steady: list[Stream | CameraStream] = [
            s for n, s in self.streams.items() if not n.startswith(OPERATOR)
        ]
        steady += self.cameras.values()
        spans = [(int(s.t_ns[0]), int(s.t_ns[-1])) for s in steady if s.rate_hz > 0 and len(s)]
        start, end = checks.start_end_skew_s(spans)
        self.metrics["start_skew_s"], self.metrics["end_skew_s"] = start, end
        self.above("start_skew", "streams begin apart by", start, self.limits.start_skew_s, "s")
        self.above("end_skew", "streams end apart by", end, self.limits.start_skew_s, "s")
        cameras = list(self.cameras.values())
        for other in cameras[1:]:
            skew = checks.camera_skew_s(cameras[0].t_ns, other.t_ns)
            self.metrics["cameras"][other.name]["skew_s"] = skew
            what = f"pictures of {other.name} are away from those of {cameras[0].name} by"
            self.above("camera_skew", what, skew, self.limits.camera_skew_s, "s")

    def clocks(self) -> None:
        """Times that a steady device clock does not explain were not those of the device."""
        fits: dict[str, dict[str, float]] = {}
        sources: dict[str, Stream | CameraStream] = {
            name: s for name, s in self.streams.items() if "t_device_ns" in s
        }
        sources |= {f"camera {name}": camera for name, camera in self.cameras.items()}
        for name, source in sources.items():
            device = (
                source.t_device_ns if isinstance(source, CameraStream) else source["t_device_ns"]
            )
            fit = checks.clock_fit(source.t_ns, device)
            if fit is None:
                continue
            residual, drift_ppm = fit
            fits[name] = {"residual_s": residual, "drift_ppm": drift_ppm}
            what = f"times of {name} are off its device's clock by"
            self.above("clock_residual", what, residual, self.limits.clock_residual_s, "s")
        self.metrics["clocks"] = fits

    def drops(self) -> None:
        counts: dict[str, int] = self.episode.attributes.get("drops", {})
        if self.is_cut:
            counts = self.drops_inside()
        lost = sum(counts.values())
        kept = sum(len(s) for s in self.streams.values())
        kept += sum(len(c) for c in self.cameras.values())
        self.metrics["drops"] = counts
        what = f"{lost} rows or pictures were lost ({', '.join(sorted(counts))}), a share of"
        self.above("drops", what, lost / max(lost + kept, 1), self.limits.drop_share)

    def drops_inside(self) -> dict[str, int]:
        """What was lost within the span, or at a time that nobody knows."""
        first_ns, last_ns = self.span_ns
        found: dict[str, int] = {}
        for event in self.events:
            if event.kind == "drop" and (event.t_ns == 0 or first_ns <= event.t_ns <= last_ns):
                stream = str(event.data["stream"])
                found[stream] = found.get(stream, 0) + int(event.data["count"])
        return found

    def operator(self) -> None:
        """Validity while engaged; a device that was never valid was not in use."""
        limits, shares = self.limits, {}
        for name, stream in self.streams.items():
            if not name.startswith(OPERATOR) or "flags" not in stream or not len(stream):
                continue
            flags = stream["flags"].astype(np.int64)
            among = self.engaged(stream)
            invalid = checks.share((flags & checks.VALID) != checks.VALID, among)
            untracked = checks.share((flags & checks.TRACKED) != checks.TRACKED, among)
            shares[name] = {"invalid": invalid, "untracked": untracked}
        self.metrics["operator"] = shares
        in_use = {n for n, found in shares.items() if found["invalid"] not in (None, 1.0)}
        for name in sorted(in_use or shares):
            invalid, untracked = shares[name]["invalid"], shares[name]["untracked"]
            self.above("invalid", f"{name} not valid, share", invalid, limits.invalid_share)
            self.above("untracked", f"{name} not tracked, share", untracked, limits.untracked_share)

    def robot(self) -> None:
        state = self.streams.get(STATE)
        if state is not None and len(state) and "status" in state and SESSION in self.streams:
            engaged = self.engaged(state)
            self.metrics["engaged_share"] = checks.share(engaged)
            holding = checks.share((state["status"] & checks.HOLDING) > 0, engaged)
            self.metrics["holding_share"] = holding
            what = "robot held for want of commands while engaged, share"
            self.above("holding", what, holding, self.limits.holding_share)
        moving = self.streams.get(SENT, state)
        if moving is not None and "position" in moving and len(moving):
            broken = int(np.count_nonzero(~np.isfinite(moving["position"]).all(axis=1)))
            if broken:
                what = f"{broken} rows of {moving.name} hold positions that are not finite"
                self.add("fail", "not_finite", what, broken)
                return
            rms, peak = checks.jerk(*checks.on_ticks(moving))
            self.metrics["jerk_rms"], self.metrics["jerk_max"] = rms, peak
            self.above("jerk", "joint jerk is", rms, self.limits.jerk_rms, " rad/s³ rms")

    def solver(self) -> None:
        solution = self.streams.get(SOLUTION)
        if solution is None or not len(solution) or "saturation" not in solution:
            return
        engaged = self.engaged(solution)
        shares = checks.saturation_shares(solution["saturation"], engaged)
        self.metrics["saturation"] = shares
        what = "a joint was at its position limit, share"
        self.above("saturation", what, shares["position"], self.limits.saturation_share)
        if "residual" in solution:
            off = checks.residual_m(solution["residual"], engaged)
            self.metrics["residual_m"] = off
            what = "tips are away from where the hands led them (p95) by"
            self.above("residual", what, off, self.limits.residual_m, "m")

    def engaged(self, stream: Stream) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Rows of a stream while any arm followed; all of them where no session was recorded."""
        if SESSION not in self.streams:
            return np.ones(len(stream), dtype=np.bool_)
        return checks.engaged_at(self.streams[SESSION], stream.t_ns)

    def latency(self) -> None:
        command = self.streams.get(REQUESTED)
        if command is None or "first_use" not in command or not len(command):
            return
        measured = checks.latency_s(command)
        if measured is None:
            return
        p50, p99 = measured
        self.metrics["latency_s"] = {"p50": p50, "p99": p99}
        what = "pose arrival to command takes (p99)"
        self.above("latency", what, p99, self.limits.latency_p99_s, "s")

    def pictures(self) -> None:
        moved = checks.moved(self.streams.get(STATE))
        for name, camera in self.cameras.items():
            if not len(camera):
                continue
            metrics = self.metrics["cameras"][name]
            look = checks.look(camera)
            repeats = checks.identical_share(camera)
            repeats = look.still_share if repeats is None else repeats
            level = look.brightest
            metrics |= {"identical_share": repeats, "brightest": level, "blur": look.blur}
            metrics["bytes_per_picture"] = float(camera.sizes.mean())
            self.above("blurred", f"camera {name} is blurred,", look.blur, self.limits.blur)
            if moved and len(camera) > 1:
                what = f"camera {name} shows the same picture while the robot moves, share"
                self.above("frozen", what, repeats, self.limits.identical_share)
            if level < self.limits.black_level:
                limit = self.limits.black_level
                self.add("fail", "black", f"camera {name} is black", float(level), float(limit))

    def add(
        self, level: Level, code: str, message: str, value: float = 1.0, limit: float = 0.0
    ) -> None:
        self.findings.append(Finding(level, code, message, float(value), float(limit)))

    def above(
        self,
        code: str,
        what: str,
        value: float | None,
        limits: tuple[float | None, float | None],
        unit: str = "",
    ) -> None:
        """A finding when `value` exceeds a limit."""
        if value is None:
            return
        warn, fail = limits
        for level, limit in (("fail", fail), ("warn", warn)):
            if limit is not None and value > limit:
                message = f"{what} {value:.4g}{unit}, at most {limit:g}{unit}"
                self.add("fail" if level == "fail" else "warn", code, message, value, limit)
                return

    def below(
        self,
        code: str,
        what: str,
        value: float,
        limits: tuple[float | None, float | None],
        unit: str,
    ) -> None:
        """A finding when `value` is less than a limit."""
        warn, fail = limits
        for level, limit in (("fail", fail), ("warn", warn)):
            if limit is not None and value < limit:
                message = f"{what} {value:.4g}{unit}, at least {limit:g}{unit}"
                self.add("fail" if level == "fail" else "warn", code, message, value, limit)
                return
