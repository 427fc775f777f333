"""The arithmetic of ticks, compiled: plain functions of arrays, no state.

They compute what `retarget.reference` computes with numpy and daqp; see there for the reasons.
Poses are `[R | p]`, (3, 4), in the robot root. `k` counts tips, `i`, `j` joints.
"""
