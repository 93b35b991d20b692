"""ModelArts as a service.

    mocked    a mocked ModelArts on this machine; it stands apart, and the rest of this folder does not import it
"""
