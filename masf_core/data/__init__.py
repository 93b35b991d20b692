"""From folders of images and list files to batches in memory.

In the order of use: `layout` finds the data below a directory, `structure` tells its domains and classes, `index`
checks it and says what belongs where, `decode_cache` decodes every image once into memory-mapped files, `episodes`
draws the batches of a step, `augmentation` changes their images at random, `prefetch` draws them ahead. `miniature`
writes a small data set to try all of it on.
"""

from masf_core.data.augmentation import Augmentation
from masf_core.data.decode_cache import decode
from masf_core.data.episodes import EpisodeSampler, SourceDomain
from masf_core.data.index import build_index
from masf_core.data.layout import find_dataroot, find_filelist_root, locate, unused_lists

__all__ = [
    "Augmentation", "EpisodeSampler", "SourceDomain", "build_index", "decode", "find_dataroot", "find_filelist_root",
    "locate", "unused_lists"]
