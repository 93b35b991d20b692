"""`python -m job sync verify` and `diff`: the exit code says whether there is a difference."""

from __future__ import annotations

import argparse
from typing import Any, Dict, Optional

from job.console import BYTES, Console
from job.errors import ConfigError
from job.exits import DONE
from job.publication.lineage import fault_of
from job.standard_output import shown, telling
from job.sync.output import files, listed, print_json, print_key, total
from job.sync.session import Session, open_session

DIFFERENT = 1


def verify(args: argparse.Namespace, console: Console) -> int:
    """Compare a folder with its objects, or published checkpoints with their markers."""
    if args.place1 is None:
        if args.full or args.rules:
            raise ConfigError("--full, --include and --exclude need a PATH to compare with; without a PATH, verify "
                              "reads every file of every checkpoint")
        return _verify_checkpoints(args, console)
    with open_session(args) as session:
        found = _compared(args, session, console, full=args.full)
        different = len(found.differ) + len(found.only_stored) + len(found.only_local)
        code = DIFFERENT if different else DONE
        with telling(code):
            if args.json:
                print_json(_document(args, session, found))
            else:
                _print_differences(found)
                agree = len(found.same) + len(found.size_only)
                how = "by SHA-256 of what was read" if args.full else "by digest"
                print(("DIFFERENT" if different else "identical")
                      + f": {files(len(found.same), total(found.same))} the same {how}"
                      + (f"; {files(len(found.size_only))} by size only, {_why_size_only(found)} (--full reads them)"
                         if found.size_only else "")
                      + (f"; {different} of {different + agree} differ or are on one side only" if different else ""))
        return code


def _why_size_only(found: Any) -> str:
    encrypted = sum(info.encrypted for info in found.size_only)
    return "the store knows no digest" + (
        f": {encrypted} of them encrypted, with an ETag that is none" if encrypted else "")


def diff(args: argparse.Namespace, console: Console) -> int:
    """List what is on one side only, and what differs."""
    with open_session(args) as session:
        found = _compared(args, session, console, trust_index=True)
        changed = [item.info for item in found.differ]
        code = DIFFERENT if changed or found.only_stored or found.only_local else DONE
        with telling(code):
            if args.json:
                print_json(_document(args, session, found))
            else:
                _print_differences(found)
                fetched = files(len(changed) + len(found.only_stored), total(changed) + total(found.only_stored))
                print(f"pull would fetch {fetched}; push would store {files(len(changed) + len(found.only_local))}"
                      + (f"; {files(len(found.size_only))} of equal size cannot be told apart without a digest"
                         if found.size_only else ""))
        return code


def _compared(args: argparse.Namespace, session: Session, console: Console, **options: bool) -> Any:
    from obs_sync import ObjectNotFound
    from obs_sync.transfer.compare import compare

    found = compare(session.store, session.path, session.workers, console.task(args.action, BYTES),
                    session.filters.selects, **options)
    console.close()
    if not any(found):
        raise ObjectNotFound(
            "the patterns leave nothing to compare below" if session.filters else "there is nothing to compare below",
            session.store.url, "Check the URL and the patterns; keys are case-sensitive")
    return found


def _print_differences(found: Any) -> None:
    for item in found.only_stored:
        print_key("only there", item.size, item.key)
    for item in found.only_local:
        print_key("only here ", item.size, item.key)
    for info, why in found.differ:
        print_key("differs   ", info.size, info.key + ": " + why)


def _document(args: argparse.Namespace, session: Session, found: Any) -> Dict[str, Any]:
    return {"action": args.action, "url": session.store.url, "path": session.path,
            "identical": not (found.differ or found.only_stored or found.only_local),
            "same_files": len(found.same), "same_bytes": total(found.same),
            "size_only": [info.key for info in found.size_only],
            "differ": [{"key": info.key, "size": info.size, "why": why} for info, why in found.differ],
            "only_stored": listed(found.only_stored), "only_local": listed(found.only_local)}


def _verify_checkpoints(args: argparse.Namespace, console: Console) -> int:
    from obs_sync import ObjectNotFound
    from obs_sync.checkpoints.verify import verify_checkpoints

    with open_session(args) as session:
        folders = verify_checkpoints(session.store, session.workers, console.task("verify", BYTES),
                                     fault_of_ours)
        console.close()
        verdicts = [verdict for folder in folders for verdict in folder.verdicts]
        if not verdicts:
            raise ObjectNotFound("there is no published checkpoint below", session.store.url,
                                 "Name the folder of a run, or give a local folder as well to compare with")
        damaged = [verdict for verdict in verdicts if verdict.faults]
        code = DIFFERENT if damaged else DONE
        with telling(code):
            if args.json:
                print_json({"action": "verify", "url": session.store.url, "path": None,
                            "identical": not damaged, "folders": [_folder(folder) for folder in folders]})
            else:
                for folder in folders:
                    _print_folder(folder)
                whole = [verdict for verdict in verdicts if not verdict.faults]
                print(f"{len(whole)} of {len(verdicts)} checkpoints whole: "
                      f"{files(sum(verdict.files for verdict in whole), sum(verdict.bytes for verdict in whole))} "
                      "read and correct")
        return code


def fault_of_ours(marker: Any) -> Optional[str]:
    """Why no run resumes from a checkpoint, although all its files are whole; None if one may, or no run wrote it."""
    return fault_of(marker) if "lineage" in marker.metadata else None


def _print_folder(folder: Any) -> None:
    for verdict in folder.verdicts:
        pointers = [name for name, meant in sorted(folder.pointers.items()) if meant == verdict.name]
        print(f"{'DAMAGED' if verdict.faults else 'whole  '}  {shown(folder.prefix + verdict.name)}  "
              f"{files(verdict.files, verdict.bytes)}{shown('  (' + ', '.join(pointers) + ')') if pointers else ''}")
        for fault in verdict.faults:
            print(f"         {shown(fault)}")
    names = {verdict.name for verdict in folder.verdicts}
    for name, meant in sorted(folder.pointers.items()):
        if meant not in names:
            print(f"note     {shown(folder.prefix + name)}.json points at {shown(meant)}, which is not there")
    for orphan in folder.orphans:
        print(f"note     {shown(folder.prefix)}{shown(orphan.name)}/ has no marker "
              f"({files(orphan.files, orphan.bytes)}): under way, or never finished")


def _folder(folder: Any) -> Dict[str, Any]:
    return {"prefix": folder.prefix, "pointers": dict(folder.pointers),
            "checkpoints": [{"name": each.name, "created": each.created, "files": each.files, "bytes": each.bytes,
                             "whole": not each.faults, "faults": list(each.faults)} for each in folder.verdicts],
            "unfinished": [{"name": each.name, "files": each.files, "bytes": each.bytes, "modified": each.modified}
                           for each in folder.orphans]}
