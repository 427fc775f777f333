"""Numbers of human hands that kernels compile in; here, where a change of them is noticed."""

WRIST, INDEX, MIDDLE, LITTLE = 1, 7, 12, 22
"""Joints of XR_EXT_hand_tracking: the wrist, and the proximal joints of three fingers."""
PALM_LENGTH_M = (0.04, 0.16)
"""Believable distances of wrist and middle knuckle."""
LONGEST_M, NARROWEST_M = 0.35, 0.01
"""Farthest of a joint from the wrist along an axis, and least width of the knuckles."""
MIDDLE_FINGER = (1, 12, 13, 14, 15)
"""Joints from the wrist to the tip of the middle finger: their bones are as long as the hand."""
HAND_LENGTH_M = 0.187
"""Of an average adult: 194 mm for men, 181 mm for women (Gordon et al., ANSUR, 1989)."""
SIZE_SHARE = 0.02
"""Weight of a tick in the size of the operator's hand."""
PLAIN, PINCH, CROSS = 0, 1, 2
"""Kinds of terms: followed as it is; made to meet when the human's ends nearly do; between two
fingers, kept apart while both pinch with the thumb."""
