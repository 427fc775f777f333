"""Runs in placo's own environment: placo_script.py INPUT.npz ROBOT_DIR OUTPUT.npz

placo pins its own Pinocchio and so cannot share a process with telecap; it gets the same frames
from a file and measures itself in the same way. Needs nothing but numpy and placo.
"""

import gc
import os
import sys
import time

import numpy as np
import placo


class Placo:
    """Frame tasks with the squared costs as weights; joint and velocity limits."""

    def __init__(self, case, robot_dir: str) -> None:
        self.names = [str(n) for n in case["joint_names"]]
        self.robot = placo.RobotWrapper(robot_dir, placo.Flags.ignore_collisions)
        self.solver = placo.KinematicsSolver(self.robot)
        self.solver.mask_fbase(True)
        self.solver.dt = 1.0 / float(case["rate_hz"])
        self.solver.enable_joint_limits(True)
        self.solver.enable_velocity_limits(True)
        self.tasks = {}
        for tip, (position, rotation) in zip(case["tips"], case["costs"], strict=True):
            task = self.solver.add_frame_task(f"tip_{tip}", np.eye(4))
            task.configure(f"task_{tip}", "soft", float(position) ** 2, float(rotation) ** 2)
            self.tasks[str(tip)] = task
        self.posture = self.solver.add_joints_task()
        self.solver.add_regularization_task(float(case["regularization"]))
        self.posture_weight = float(case["posture_cost"]) ** 2
        self.exceptions = 0

    def reset(self, q) -> None:
        self.robot.state.q[:7] = [0, 0, 0, 0, 0, 0, 1]
        for name, value in zip(self.names, q, strict=True):
            self.robot.set_joint(name, float(value))
        self.posture.set_joints({n: float(v) for n, v in zip(self.names, q, strict=True)})
        self.posture.configure("posture", "soft", self.posture_weight)
        self.robot.update_kinematics()
        self.exceptions = 0

    def prepare(self, poses) -> None:
        for tip, task in self.tasks.items():
            task.T_world_frame = poses[tip]

    def solve(self):
        try:
            self.solver.solve(True)
            self.robot.update_kinematics()
        except RuntimeError:
            self.exceptions += 1
        return [self.robot.get_joint(name) for name in self.names]


def main() -> None:
    case = np.load(sys.argv[1])
    os.sched_setaffinity(0, {int(case["core"])})
    solver = Placo(case, sys.argv[2])
    tips, path, passes = [str(t) for t in case["tips"]], case["q"], int(case["passes"])
    frames = [{tip: case[f"T_{tip}"][k] for tip in tips} for k in range(len(path))]
    q, spent = np.zeros_like(path), np.zeros((2, passes, len(path)))
    clock = time.thread_time_ns
    gc.disable()
    for number in range(passes):
        solver.reset(path[0])
        for k, poses in enumerate(frames):
            t0 = clock()
            solver.prepare(poses)
            t1 = clock()
            answer = solver.solve()
            t2 = clock()
            spent[:, number, k] = t1 - t0, t2 - t1
            q[k] = answer
    exceptions = solver.exceptions
    jumps, failed = [], 0
    for k in range(len(case["engage_q"])):
        start = case["engage_q"][k]
        solver.reset(start)
        solver.prepare({tip: case[f"engage_T_{tip}"][k] for tip in tips})
        jumps.append(np.abs(np.array(solver.solve()) - start).max())
        failed += solver.exceptions
    counts = {"exceptions": exceptions, "engage_exceptions": failed}
    np.savez(sys.argv[3], q=q, prepare_ns=spent[0], solve_ns=spent[1], jumps=jumps, **counts)


if __name__ == "__main__":
    main()
