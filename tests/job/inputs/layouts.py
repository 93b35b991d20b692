"""The published data sets as people have them, in miniature: folders, lists and what else lies there.

Every image is the same small PNG. Each function returns {domain: number of images}.
"""
from __future__ import annotations

import io
import os

from PIL import Image

_stream = io.BytesIO()
Image.new("RGB", (2, 2)).save(_stream, "PNG")
PICTURE = _stream.getvalue()

PACS = ("art_painting", "cartoon", "photo", "sketch")
PACS_CLASSES = ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")
OFFICE_CLASSES = ("Alarm_Clock", "Bike", "Calculator", "Pencil", "Soda", "TV", "Table", "ToothBrush", "Webcam")
NET_CLASSES = ("aircraft_carrier", "The_Eiffel_Tower", "axe", "t-shirt", "zigzag")
TERRA_CLASSES = ("bird", "bobcat", "cat", "coyote", "dog", "empty", "opossum", "rabbit", "raccoon", "squirrel")


def put(root, path, content=PICTURE):
    path = os.path.join(str(root), path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as stream:
        stream.write(content)


def put_lines(root, path, lines):
    put(root, path, "".join(line + "\n" for line in lines).encode())


def _folders(root, domains, classes, count, suffix="jpg", name="pic_{:03}"):
    """{domain: [paths of its images]}."""
    paths = {domain: [f"{domain}/{each}/{name.format(number)}.{suffix}" for each in classes
                      for number in range(1, count + 1)] for domain in domains}
    for path in (path for of_domain in paths.values() for path in of_domain):
        put(root, path)
    return paths


def _counted(paths):
    return {domain: len(found) for domain, found in paths.items()}


def pacs(root, prefix="kfold/"):
    """The authors' download: images below kfold/, its lists elsewhere, with labels from 1."""
    paths = _folders(os.path.join(str(root), "kfold"), PACS[:3], PACS_CLASSES, 4)
    paths.update(_folders(os.path.join(str(root), "kfold"), PACS[3:], PACS_CLASSES, 5, "png"))
    for domain, found in paths.items():
        lines = [f"{prefix}{path} {PACS_CLASSES.index(path.split('/')[1]) + 1}" for path in found]
        held = [line for line in lines if "pic_004" in line]
        for part, chosen in (("train", [line for line in lines if line not in held]), ("crossval", held),
                             ("test", lines)):
            put_lines(root, f"pacs_label/{domain}_{part}_kfold.txt", chosen)
    put(root, "pacs_label/Readme.txt", b"the labels are from 1 to 7\n")
    return _counted(paths)


def pacs_of_the_port(root):
    """The Ascend port's: filelist/<domain>.txt beside kfold/."""
    paths = _folders(os.path.join(str(root), "kfold"), PACS, PACS_CLASSES, 4)
    for domain, found in paths.items():
        put_lines(root, f"filelist/{domain}.txt", [
            f"{path} {PACS_CLASSES.index(path.split('/')[1]) + 1}" for path in found])
    return _counted(paths)


def vlcs_of_domainbed(root):
    """DomainBed's: the names of the sets that the images are from, and names of classes."""
    return _counted(_folders(os.path.join(str(root), "VLCS"), ("Caltech101", "LabelMe", "SUN09", "VOC2007"),
                             ("bird", "car", "chair", "dog", "person"), 5, name="img_{}"))


def vlcs_of_jigendg(root, lists=True):
    """JigenDG's and CSD's: the whole domain in full/, copies of its images in train/, crossval/ and test/."""
    counts = {}
    for domain in ("CALTECH", "LABELME", "PASCAL", "SUN"):
        full = [f"{domain}/full/{label}/{number}.jpg" for label in range(5) for number in range(10)]
        parts = {"train": full[:], "test": [path for path in full if path[-5] in "789"]}
        parts["train"] = [path for path in full if path not in parts["test"]]
        for path in full:
            put(root, "VLCS/" + path)
        for part, chosen in parts.items():
            for path in chosen:
                put(root, "VLCS/" + path.replace("full", part))
            if lists:
                put_lines(root, f"VLCS/{domain}_{part}.txt", [f"VLCS/{path} {path.split('/')[2]}" for path in chosen])
        for path in parts["train"]:
            if path[-5] == "6":
                put(root, "VLCS/" + path.replace("full", "crossval"))
        counts[domain] = len(full)
    return counts


def office_home(root):
    """The authors' download: a blank in a domain, names of classes in mixed case, two tables beside the domains."""
    paths = _folders(os.path.join(str(root), "OfficeHomeDataset_10072016"), ("Art", "Clipart", "Product", "Real World"),
                     OFFICE_CLASSES, 4, name="{:05}")
    put(root, "OfficeHomeDataset_10072016/ImageInfo.csv", b"Domain,Class,Image\n")
    put(root, "OfficeHomeDataset_10072016/imagelist.txt", b"./Art/Alarm_Clock/00001.jpg\n")
    return _counted(paths)


def domain_net(root, lists=True):
    """The authors' download: lists with labels from 0 beside the domains; painting_train.txt has no t-shirt."""
    domains = ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")
    paths = _folders(os.path.join(str(root), "domain_net"), domains, NET_CLASSES, 10, name="picture_{:06}")
    order = sorted(NET_CLASSES, key=str.lower)
    for domain, found in paths.items() if lists else ():
        parts = {"test": [path for path in found if path[-5] in "012"
                          or (domain == "painting" and "/t-shirt/" in path)]}
        parts["train"] = [path for path in found if path not in parts["test"]]
        for part, chosen in parts.items():
            put_lines(root, f"domain_net/{domain}_{part}.txt", [
                f"{path} {order.index(path.split('/')[1])}" for path in chosen])
    return _counted(paths)


def terra_incognita(root):
    """DomainBed's: four places of cameras, and the annotations of the images beside them."""
    paths = _folders(os.path.join(str(root), "terra_incognita"), [f"location_{place}" for place in (38, 43, 46, 100)],
                     TERRA_CLASSES, 3, name="5968c0f9-23d2-11e8-a6a3-ec086b0261{:02}")
    put(root, "terra_incognita/caltech_images_20210113.json", b"{}")
    return _counted(paths)
