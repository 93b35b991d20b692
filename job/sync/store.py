"""`python -m job sync ls` and `gc`: what is in a store, and what killed jobs left there."""

from __future__ import annotations

import argparse
import re
from typing import Any, Dict, Sequence

from job.console import Console
from job.exits import DONE
from job.standard_output import shown, telling
from job.sync.output import age, files, moment, print_json, print_key, total
from job.sync.session import Session, open_session

CHECKPOINT_NAME = re.compile(r"ckpt-\d{6,}-[\w-]+\Z")  # as ``job.publication.run_record`` makes them


def ls(args: argparse.Namespace, console: Console) -> int:
    """List objects and their totals."""
    from obs_sync import ObjectNotFound

    with open_session(args) as session:
        everything = list(session.store.list())
        found = [info for info in everything if session.filters.selects(info.key)]
        if not found:
            raise ObjectNotFound(
                f"the patterns leave nothing of {files(len(everything))} below" if everything
                else "there is nothing below", session.store.url, "Check the URL; keys are case-sensitive")
        with telling(DONE):
            _tell_listing(args, session, found)
    return DONE


def _tell_listing(args: argparse.Namespace, session: Session, found: Sequence[Any]) -> None:
    if args.json:
        objects = [{"key": info.key, "size": info.size, "modified": info.modified, "etag": info.etag} for info in found]
        print_json({"action": "ls", "url": session.store.url, "files": len(found), "bytes": total(found),
                    "objects": objects})
        return
    for info in found:
        print_key(moment(info.modified), info.size, info.key)
    print(f"{files(len(found), total(found))} below {shown(session.store.url)}")


def gc(args: argparse.Namespace, console: Console) -> int:
    """Say what would be removed; with --delete, remove it."""
    from obs_sync import ObjectNotFound
    from obs_sync.checkpoints.collect import find_waste, remove_waste

    with open_session(args) as session:
        everything = find_waste(session.store, lambda name: CHECKPOINT_NAME.match(name) is not None)
        if not everything and next(iter(session.store.list()), None) is None:
            raise ObjectNotFound("there is nothing below", session.store.url, "Check the URL; keys are case-sensitive")
        found = [waste for waste in everything if waste.age is not None and waste.age > args.older_than]
        removed = [waste for waste in found if args.delete and remove_waste(session.store, waste)]
        with telling(DONE):
            _tell_waste(args, session, found, removed, [waste for waste in everything if waste not in found])
    return DONE


def _tell_waste(args: argparse.Namespace, session: Session, found: Sequence[Any], removed: Sequence[Any],
                younger: Sequence[Any]) -> None:
    if args.json:
        print_json({"action": "gc", "url": session.store.url, "delete": args.delete, "older_than": args.older_than,
                    "found": [_item(waste, waste in removed) for waste in found],
                    "younger": [_item(waste, False) for waste in younger]})
        return
    for waste in found:
        done = "would remove" if not args.delete else "removed" if waste in removed else "spared "
        what = files(waste.files, waste.bytes) if waste.files else "parts of an upload"
        print(f"{done}  {waste.kind.ljust(10)}  {shown(waste.key)}, {what}, {age(waste.age)}")
    if not found and not younger:
        print(f"nothing unfinished below {shown(session.store.url)}")
        return
    print(f"{len(removed) if args.delete else len(found)} of {len(found) + len(younger)} unfinished things "
          + ("removed" if args.delete else "would be removed")
          + (f"; {len(younger)} younger than {args.older_than / 3600.0:.0f} h" if younger else "")
          + ("" if args.delete or not found else "; run it with --delete to remove them"))


def _item(waste: Any, removed: bool) -> Dict[str, Any]:
    return {"kind": waste.kind, "key": waste.key, "files": waste.files, "bytes": waste.bytes, "age": waste.age,
            "removed": removed}
