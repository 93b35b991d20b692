"""A small made-up data set in PACS's layout, and made-up AlexNet weights: enough to try the whole job.

The class of an image can be learnt from its shape, the domain is a drawing style.
"""

from masf_core.data.miniature.weights import write_alexnet_weights
from masf_core.data.miniature.write import CLASSES, DOMAINS, write_miniature

__all__ = ["CLASSES", "DOMAINS", "write_alexnet_weights", "write_miniature"]
