"""Checks of a graph without a device or a session.

    limits   what an Ascend 910 refuses or leaves on the host
    cost     arithmetic and memory traffic, and the time that they predict
"""
