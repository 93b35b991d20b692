"""Stand-in for the moxing package of ModelArts images. Only `moxing.file`."""
from moxing import file  # noqa: F401
