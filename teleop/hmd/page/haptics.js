/** Pulses for the operator's hands. */

/**
 * @param {Iterable<XRInputSource>} sources
 * @param {{side: string, amplitude: number, duration_ms: number}} pulse
 * @returns {boolean} false when that controller cannot pulse
 */
export function pulse(sources, { side, amplitude, duration_ms: durationMs }) {
  for (const source of sources) {
    const actuator = source.gamepad?.hapticActuators?.[0];
    if (source.handedness !== side || !actuator) continue;
    // The promise only tells when the pulse is over; a failed pulse harms nobody.
    Promise.resolve(actuator.pulse(amplitude, durationMs)).catch(() => false);
    return true;
  }
  return false;
}
