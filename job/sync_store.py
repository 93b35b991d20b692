"""`python -m job sync ls` and `gc`: what is in a store, and what nobody will finish."""

from __future__ import annotations

import re

from job.exits import DONE
from job.sync_output import age, files, moment, print_json, print_key, shown, total
from job.sync_session import open_session

CHECKPOINT_NAME = re.compile(r"ckpt-\d{6,}-[\w-]+\Z")  # as ``job.run_record`` makes them


def ls(args, console):
    """List objects and their totals."""
    from obs_sync import ObjectNotFound

    with open_session(args) as session:
        everything = list(session.store.list())
        found = [info for info in everything if session.filters.selects(info.key)]
        if not found:
            raise ObjectNotFound(
                "the patterns leave nothing of {} below".format(files(len(everything))) if everything
                else "there is nothing below", session.store.url, "Check the URL; keys are case-sensitive")
        if args.json:
            print_json({"action": "ls", "url": session.store.url, "files": len(found), "bytes": total(found),
                        "objects": [{"key": info.key, "size": info.size, "modified": info.modified, "etag": info.etag}
                                    for info in found]})
            return DONE
        for info in found:
            print_key(moment(info.modified), info.size, info.key)
        print("{} below {}".format(files(len(found), total(found)), session.store.url))
        return DONE


def gc(args, console):
    """Say what would be removed, or with --delete remove it."""
    from obs_sync.collecting import find_waste, remove_waste

    with open_session(args) as session:
        everything = find_waste(session.store, lambda name: CHECKPOINT_NAME.match(name) is not None)
        found = [waste for waste in everything if waste.age is not None and waste.age > args.older_than]
        removed = [waste for waste in found if args.delete and remove_waste(session.store, waste)]
        spared = len(everything) - len(found)
        if args.json:
            print_json({"action": "gc", "url": session.store.url, "delete": args.delete, "older_than": args.older_than,
                        "found": [_item(waste, waste in removed) for waste in found],
                        "younger": [_item(waste, False) for waste in everything if waste not in found]})
            return DONE
        for waste in found:
            print("{}  {}  {}{}".format(
                ("removed" if waste in removed else "spared ") if args.delete else "would remove", waste.kind.ljust(10),
                shown(waste.key), ", {}, {}".format(files(waste.files, waste.bytes), age(waste.age))
                if waste.files else ", parts of an upload, {}".format(age(waste.age))))
        if not everything:
            print("nothing unfinished below {}".format(session.store.url))
            return DONE
        print("{} of {} unfinished things {}{}{}".format(
            len(removed) if args.delete else len(found), len(everything),
            "removed" if args.delete else "would be removed", "; {} younger than {:.0f} h".format(
                spared, args.older_than / 3600.0) if spared else "",
            "" if args.delete or not found else "; run it with --delete to remove them"))
        return DONE


def _item(waste, removed):
    return {"kind": waste.kind, "key": waste.key, "files": waste.files, "bytes": waste.bytes, "age": waste.age,
            "removed": removed}
