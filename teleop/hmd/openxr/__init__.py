"""The native headset client: an OpenXR application that needs no robot mathematics.

It imports the protocol and the socket client, numpy, OpenXR and OpenGL, so it also runs where there
is no Pinocchio (Windows).
"""
