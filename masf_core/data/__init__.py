"""From folders of images and list files to batches in memory. Read `index` first. In the order of use:

    layout         finds the images and the lists below a directory
    naming         which spellings are the same name; names of splits
    domains        which folders are the domains
    classes        which class folders are the classes
    survey         class folders and split folders of a domain
    folders        folders on disk as a tree that is read once
    list_names     which files are lists
    lists          reads list files
    labels         whether labels count from 0 or from 1
    listed         what belongs where, according to the lists
    from_folders   what belongs where, according to the folders
    split          the split of a domain without lists
    index          which images there are and what each is for
    origin         which lists or folders an index was made from
    offences       collects everything that is wrong with the data
    left_out       counts and names the files that are not images
    known_sets     how many images the published data sets have
    manifest       the images of a run's beginning, to say later what changed
    image_kind     whether a file is an image, by its name or its first bytes
    decode_image   one image file to pixels
    png_texts      PNG files without their texts and colour profiles
    decode_cache   decodes every image once
    cache_file     the files of the decode cache
    batches        decodes images that are looked at once, ahead of their use
    episodes       draws the batches of a step
    augmentation   random changes of training images
    prefetch       draws batches ahead of their use, in the background
    progress       reports to a caller how far a long operation is
    miniature      a folder: draws a small data set to try all of it on
"""

from masf_core.data.augmentation import Augmentation
from masf_core.data.decode_cache import decode
from masf_core.data.episodes import EpisodeSampler, SourceDomain
from masf_core.data.folders import Folder
from masf_core.data.index import build_index
from masf_core.data.layout import find_dataroot, find_filelist_root, lists_beside, locate, unused_lists

__all__ = [
    "Augmentation", "EpisodeSampler", "Folder", "SourceDomain", "build_index", "decode", "find_dataroot",
    "find_filelist_root", "lists_beside", "locate", "unused_lists"]
