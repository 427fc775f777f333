"""The hub: clients on one side, the bus on the other, the session in the middle.

Everything here runs in the event loop's thread and never waits. A tracking message goes from the
socket's reader to the bus within one call.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from calibration.errors import CalibrationError
from calibration.operator import OperatorProfile
from teleop.bindings import Bindings, ButtonReader
from teleop.effects import (
    Asked,
    Calibrated,
    CalibrationFailed,
    CaptureNeutral,
    Effect,
    Input,
    OperatorArrived,
    OperatorLeft,
    Refused,
    RobotReported,
)
from teleop.gateway.aligning import Aligning
from teleop.gateway.auth import token_matches
from teleop.gateway.claim import Claim
from teleop.gateway.client import Client
from teleop.gateway.linkreport import LinkReport
from teleop.gateway.meters import LatencyMeter, RateMeter
from teleop.gateway.neutral import Neutral
from teleop.gateway.orders import Orders, refusal
from teleop.gateway.pictures import Pixels, offer_of
from teleop.gateway.robotbody import RobotBody
from teleop.gateway.serving import Serving
from teleop.gateway.staterow import StateRow
from teleop.gateway.status import Picture, Seen, build_status
from teleop.gateway.strain import StrainWatch
from teleop.gateway.tips import TipWatch
from teleop.gateway.topics import Heard, Outputs
from teleop.intents import Intent, IntentArgs
from teleop.motion import STALE_NS
from teleop.palmmenu import gesture_info
from teleop.pedals import Pedals
from teleop.protocol import (
    ClaimAsked,
    ClaimGranted,
    ClaimRefused,
    CloseCode,
    HelloReceived,
    IntentAsked,
    Latency,
    OperatorInfo,
    PictureDecoded,
    ReleaseAsked,
    RoundTrip,
    Status,
    TrackingReceived,
    Welcome,
    encode_message,
)
from teleop.samples import RobotStatus
from teleop.session import Session

log = logging.getLogger(__name__)

STATE_PERIOD_NS = 18_000_000  # a little under 1/50 s, for a tick every 10 ms
STATUS_PERIOD_NS = 100_000_000
HOME_TOLERANCE_RAD = 0.02
REST_SPEED_RAD_S = 0.02


class Hub:
    """Owns session, claim and clients.

    Args:
        serving: What is served.
        outputs: Topics to publish.
        session: The session.
        neutral: Calibration at engage.
        bindings: What buttons do.
        orders: Carries out the session's effects.
    """

    def __init__(
        self,
        serving: Serving,
        outputs: Outputs,
        session: Session,
        neutral: Neutral,
        bindings: Bindings,
        orders: Orders,
    ) -> None:
        self.serving = serving
        self.session = session
        self.clients: set[Client] = set()
        self.claim = Claim()
        self.pedals = Pedals()
        self.recorder: dict[str, Any] | None = None
        self.frames = 0
        self.qpos: Any = None
        self._outputs = outputs
        self._neutral = neutral
        self._bindings = bindings
        self._buttons = ButtonReader(bindings)
        self._orders = orders
        self._seen = Seen(STALE_NS)
        self._frame: Any = None
        self._rates = RateMeter()
        self._latency = LatencyMeter()
        self._health: dict[str, int] = {}
        self._robot_status = RobotStatus.OK
        self._tips = TipWatch(serving.forward)
        self._strain = StrainWatch(serving.rig.joint_names)
        self.aligning = Aligning(neutral, self._tips, serving.geometry, serving.clutch)
        session.choose_clutch(self.aligning.absolute)
        self._stream_ids = {stream.name: stream.id for stream in serving.streams}
        self._state = StateRow(neutral, self.aligning)
        self._link_report = LinkReport(outputs.event)
        self._body = RobotBody(serving)
        self._next_state_ns = 0
        self._next_status_ns = 0
        self._told_view = session.view()

    # --------------------------------------------------------------- clients
    def add(self, client: Client) -> None:
        """A socket opened."""
        self.clients.add(client)

    def remove(self, client: Client, now_ns: int) -> None:
        """A socket closed, for whatever reason."""
        self.clients.discard(client)
        if self.claim.holder == client.session_id and self.holder() is None:
            self.claim.lose(client.session_id, now_ns)
            self._feed(OperatorLeft("disconnected"), now_ns)

    def process(self, client: Client, now_ns: int) -> None:
        """Take what a client's connection has received."""
        for event in client.connection.events_received():
            match event:
                case TrackingReceived(frame=frame):
                    self._tracking(client, frame, now_ns)
                case RoundTrip(t_send_ns=sent, t_device_ns=device, t_receive_ns=received):
                    client.round_trip(sent, device, received)
                case PictureDecoded() as ack:
                    client.decoded(ack, self._stream_ids.get(ack.stream), now_ns)
                case IntentAsked(intent=intent, args=args):
                    self._intent_of(client, intent, args, now_ns)
                case HelloReceived():
                    self._hello(client, now_ns)
                case ClaimAsked():
                    self._claim_asked(client, now_ns)
                case ReleaseAsked():
                    self._release(client, now_ns)
        client.flush()

    def stop(self) -> None:
        """Tell every client that the server is going away, and the recorder what it must know."""
        self._orders.send_labels(time.monotonic_ns())
        for client in list(self.clients):
            client.refuse(CloseCode.SERVER_STOPPING, "the server is stopping")

    def _hello(self, client: Client, now_ns: int) -> None:
        hello = client.hello
        if not token_matches(self.serving.token, hello.token):
            client.refuse(CloseCode.BAD_TOKEN, "wrong token; open the page from the console's link")
            return
        names = set(self._stream_ids)
        client.streams = frozenset(names if "*" in hello.video else names & set(hello.video))
        client.outbox.understands(hello.codecs)
        resumed = hello.role == "operator" and self._resume(client)
        client.connection.accept(self._welcome(client, now_ns))
        client.flush()
        if resumed:
            client.post(ClaimGranted())
            self._arrived(client, now_ns, resumed=True)
        client.post_status(encode_message(self.status(now_ns)))

    def _resume(self, client: Client) -> bool:
        """Take the claim over from an earlier connection of the same session."""
        session_id = client.hello.resume
        if session_id is None or self.claim.holder != session_id:
            return False
        previous = self.holder()
        client.session_id = session_id
        if previous is not None:
            previous.session_id = ""
            previous.refuse(CloseCode.TAKEN_OVER, "this session continues on another connection")
        return True

    def _welcome(self, client: Client, now_ns: int) -> Welcome:
        return Welcome(
            session_id=client.session_id,
            role=client.hello.role,
            rig=self.serving.rig,
            streams=self.serving.streams,
            control_rate_hz=self.serving.control_rate_hz,
            server_time_ns=now_ns,
            limits=self.serving.limits_info,
        )

    # ----------------------------------------------------------------- claim
    def _claim_asked(self, client: Client, now_ns: int) -> None:
        if client.hello.role != "operator":
            client.post(ClaimRefused(reason="watchers cannot hold the robot", holder=""))
            return
        self.claim.expire(now_ns)
        held = self.claim.holder == client.session_id
        if not self.claim.take(client.session_id, client.name):
            reason = "another operator holds the robot"
            client.post(ClaimRefused(reason=reason, holder=self.claim.device))
            return
        client.post(ClaimGranted())
        if not held:
            self._arrived(client, now_ns, resumed=False)

    def _arrived(self, client: Client, now_ns: int, *, resumed: bool) -> None:
        self.claim.take(client.session_id, client.name)
        self._buttons = ButtonReader(self._bindings)
        self._seen = Seen(STALE_NS)
        self._feed(OperatorArrived(client.name, resumed), now_ns)

    def _release(self, client: Client, now_ns: int) -> None:
        if self.claim.release(client.session_id):
            self._feed(OperatorLeft("released"), now_ns)

    def holder(self) -> Client | None:
        """The operator's connection, while there is one."""
        holder = self.claim.holder
        return next((c for c in self.clients if holder and c.session_id == holder), None)

    # -------------------------------------------------------------- tracking
    def _tracking(self, client: Client, frame: Any, now_ns: int) -> None:
        if self.claim.holder != client.session_id:
            client.ignored += 1
            return
        frame["t_ns"] = client.host_time(int(frame["t_device_ns"]), now_ns)
        self._frame = frame
        self.frames += 1
        tracked, asked = self._buttons.read(frame, self.session.view(), now_ns)
        tracked = self.pedals.add(tracked)
        self._seen.see(tracked, now_ns)
        self._feed(self.aligning.judge(tracked, frame, self.session.view(), now_ns), now_ns)
        self._feed_all(asked, now_ns)
        self._publish_state(now_ns)
        self._outputs.operator_frame.send(frame)

    # --------------------------------------------------------------- intents
    def _intent_of(self, client: Client, intent: Intent, args: IntentArgs, now_ns: int) -> None:
        holds = self.claim.holder == client.session_id
        if intent is not Intent.ESTOP and not holds and client.hello.client != "console":
            client.post(refusal(Refused(intent, "only the operator and consoles may ask this")))
            return
        refused = self.ask(intent, args, client.name, now_ns)
        if refused is not None and not holds:
            client.post(refusal(refused))

    def ask(self, intent: Intent, args: IntentArgs, by: str, now_ns: int) -> Refused | None:
        """Ask something of the session; returns why not, if it was refused."""
        return self._feed(Asked(intent, args, by), now_ns)

    def adopt(self, profile: OperatorProfile, now_ns: int) -> None:
        """Take a calibration that is known from elsewhere; arms that follow keep theirs."""
        self._neutral.adopt(profile)
        self._feed(Calibrated(), now_ns)

    # --------------------------------------------------------------- session
    def _feed(self, event: Input, now_ns: int) -> Refused | None:
        return self._carry_out(self.session.handle(event, now_ns), now_ns)

    def _feed_all(self, asked: Sequence[Asked], now_ns: int) -> None:
        for request in asked:
            self._feed(request, now_ns)

    def _carry_out(self, effects: Sequence[Effect], now_ns: int) -> Refused | None:
        refused = None
        for effect in effects:
            if isinstance(effect, Refused):
                refused = effect
            if isinstance(effect, CaptureNeutral):
                self._capture_neutral(now_ns)
            else:
                self._orders.carry_out(effect, self.holder(), now_ns)
        if self.session.view() != self._told_view:
            self._told_view = self.session.view()
            self._publish_state(now_ns)
            self._next_status_ns = now_ns
        return refused

    def _capture_neutral(self, now_ns: int) -> None:
        """Calibrate from the newest frame and tell the session how it went."""
        try:
            self._neutral.capture(self._frame)
        except (CalibrationError, ValueError) as error:
            self._feed(CalibrationFailed(str(error)), now_ns)
        else:
            self._feed(Calibrated(), now_ns)

    # ------------------------------------------------------------------ time
    def tick(self, now_ns: int) -> None:
        """Let time pass; call it every 10 ms."""
        for client in list(self.clients):
            client.tick(now_ns)
        self.claim.expire(now_ns)
        self._feed_all(self.pedals.tick(self.session.view(), now_ns), now_ns)
        self._carry_out(self.session.tick(now_ns), now_ns)
        if now_ns >= self._next_state_ns:
            self._publish_state(now_ns)
        self._link_report.tick(self.holder(), self.session.view().recording, now_ns)
        self._orders.desk.tick(self.session.view().recording, now_ns)
        if now_ns >= self._next_status_ns:
            self._next_status_ns = now_ns + STATUS_PERIOD_NS
            self._rates.update({"operator/frame": self.frames}, now_ns)
            text = encode_message(self.status(now_ns))
            for client in self.clients:
                if client.is_open:
                    client.post_status(text)

    def _publish_state(self, now_ns: int) -> None:
        self._outputs.session_state.send(self._state.fill(self.session.view(), now_ns))
        self._next_state_ns = now_ns + STATE_PERIOD_NS

    # ------------------------------------------------------------------- bus
    def hear(self, heard: Heard, now_ns: int) -> None:
        """Take what came from the bus."""
        for name, message, pixels in heard.pictures:
            self._picture(name, message, pixels, now_ns)
        if heard.robot is not None:
            self._robot(heard.robot, now_ns)
        if heard.recorder is not None:
            self.recorder = heard.recorder
            report = self._orders.recorder_reported(heard.recorder, now_ns)
            self._feed(report, now_ns)
        if heard.solution is not None:
            self._tips.hear(heard.solution)
            self._strain.hear(heard.solution, now_ns)
        if heard.qpos is not None:
            self.qpos = heard.qpos
        for event in heard.control:
            self._orders.control_said(event, self.holder())
        self._latency.add(heard.commands)
        self._rates.update(heard.counts, now_ns)
        self._health |= heard.health

    def _robot(self, row: Any, now_ns: int) -> None:
        self._body.hear(row)
        self._robot_status = RobotStatus(int(row["status"]))
        off = np.fmax.reduce(np.abs(row["position"] - self.serving.q_home), initial=0.0)
        speed = np.abs(row["velocity"]).max(initial=0.0)
        at_home = bool(off < HOME_TOLERANCE_RAD and speed < REST_SPEED_RAD_S)
        fault = bool(self._robot_status & RobotStatus.FAULT)
        self._feed(RobotReported(fault, at_home), now_ns)

    def needs_pixels(self, camera: str) -> bool:
        """Whether any client needs a camera's pictures decoded; asked from another thread."""
        return any(
            camera in client.streams and not client.outbox.passes_video
            for client in list(self.clients)
        )

    def _picture(self, name: str, message: bytes, pixels: Pixels | None, now_ns: int) -> None:
        stream_id = self._stream_ids.get(name)
        if stream_id is None or not any(name in client.streams for client in self.clients):
            return
        offer = offer_of(stream_id, message, pixels, now_ns)
        if any(client.wants_turns for client in self.clients):
            picture = self._body.attach(offer.picture, self._neutral.T_robot_stage)
            offer = replace(offer, picture=picture)
        for client in self.clients:
            client.post_picture(name, offer)

    # ---------------------------------------------------------------- status
    def status(self, now_ns: int) -> Status:
        """The whole picture at `now_ns`."""
        session, holder, tips = self.session, self.holder(), self._tips.poses()
        rtt_ns = None if holder is None else holder.rtt_ns
        picture = Picture(
            view=session.view(),
            countdown_ns=session.takes.countdown_left_ns,
            recorded_ns=session.takes.recorded_ns,
            grade=session.takes.grade,
            task=self._orders.desk.item.instruction,
            plan=self._orders.desk.info(),
            operator=OperatorInfo(
                connected=holder is not None, name=self.serving.operator, device=self.claim.device
            ),
            reach_scale=round(self._neutral.reach_scale, 4),
            latency=Latency(
                pose_to_command=self._latency.median_ms,
                link_rtt=None if rtt_ns is None else round(rtt_ns / 1e6, 3),
                picture=None if holder is None else holder.outbox.journeys.median_ms(now_ns),
            ),
            tracking=self._seen.words(now_ns),
            rates=self._rates.rates,
            recorder=self.recorder,
            health=self._health,
            robot_status=self._robot_status,
            residual_m=self._tips.residual_m,
            strain=tuple(self._strain.words(now_ns)),
            tips=tips,
            targets=self._body.targets(tips, self._neutral.T_robot_stage),
            skeleton=self._body.skeleton(self._neutral.T_robot_stage),
            bare_hands=self._buttons.bare,
            absolute=self.aligning.absolute,
            alignment=self.aligning.infos(session.view()),
            gesture=gesture_info(self._buttons, session.view(), now_ns),
        )
        return build_status(picture, now_ns)
