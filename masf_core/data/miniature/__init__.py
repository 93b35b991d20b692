"""A miniature PACS that is drawn, not downloaded. Read `write` first.

    write         writes images and lists to disk
    silhouettes   the shapes of the classes
    styles        the styles of the domains
    weights       made-up AlexNet weights
"""

from masf_core.data.miniature.weights import write_alexnet_weights
from masf_core.data.miniature.write import CLASSES, DOMAINS, write_miniature

__all__ = ["CLASSES", "DOMAINS", "write_alexnet_weights", "write_miniature"]
