"""`python -m job sync pull` and `push`."""

from __future__ import annotations

import argparse
from typing import Any, Dict, Iterable, Optional, Sequence

from job.console import BYTES, Console, amount
from job.exits import DONE
from job.standard_output import telling
from job.sync.output import files, listed, print_json, print_key, total
from job.sync.session import Session, open_session


def pull(args: argparse.Namespace, console: Console) -> int:
    """Copy a folder from the store, or say what would be copied."""
    from obs_sync.transfer.trees import preview_pull
    from obs_sync.transfer.trees import pull as run

    with open_session(args) as session:
        if args.dry_run:
            preview = preview_pull(session.store, session.path, selects=session.filters.selects,
                                   on_compare=console.task("compare", BYTES))
            return _tell_plan(args, session, preview.plan.fetch, preview.plan.present, preview.extra)
        report = run(session.store, session.path, workers=session.workers, selects=session.filters.selects,
                     delete=args.delete, on_progress=console.task("pull", BYTES),
                     on_compare=console.task("compare", BYTES))
        return _tell_report(args, session, report, console)


def push(args: argparse.Namespace, console: Console) -> int:
    """Copy a folder to the store, or say what would be copied."""
    from obs_sync.local.removing import ExtraFile
    from obs_sync.transfer.trees import preview_push
    from obs_sync.transfer.trees import push as run

    with open_session(args) as session:
        if args.dry_run:
            plan = preview_push(session.store, session.path, workers=session.workers,
                                selects=session.filters.selects, on_compare=console.task("compare", BYTES))
            return _tell_plan(args, session, [ExtraFile(*item) for item in plan.send], plan.present, plan.extra)
        report = run(session.store, session.path, workers=session.workers, selects=session.filters.selects,
                     delete=args.delete, on_progress=console.task("push", BYTES),
                     on_compare=console.task("compare", BYTES))
        return _tell_report(args, session, report, console)


def _tell_plan(args: argparse.Namespace, session: Session, moved: Iterable[Any], present: Sequence[Any],
               extra: Iterable[Any]) -> int:
    """Print what a dry run found. moved, present, extra: objects or files to transfer, there already, of no source."""
    moved, removed = sorted(moved, key=_key), sorted(extra, key=_key) if args.delete else []
    with telling(DONE):
        if args.json:
            document = _document(args, session, len(moved), total(moved), len(present), total(present), len(removed),
                                 total(removed), None)
            print_json(dict(document, transfer=listed(moved), remove=listed(removed)))
            return DONE
        for item in moved:
            print_key(args.action + "  ", item.size, item.key)
        for item in removed:
            print_key("remove", item.size, item.key)
        print(f"would {args.action} {files(len(moved), total(moved))}; {files(len(present))} present "
              f"already{_would_remove(args, extra)}")
    return DONE


def _key(item: Any) -> str:
    return item.key


def _would_remove(args: argparse.Namespace, extra: Sequence[Any]) -> str:
    if not extra:
        return ""
    return f"; would remove {files(len(extra), total(extra))}" if args.delete else (
        f"; {files(len(extra), total(extra))} would be removed with --delete")


def _tell_report(args: argparse.Namespace, session: Session, report: Any, console: Console) -> int:
    console.close()
    with telling(DONE):
        if args.json:
            document = _document(args, session, report.files, report.bytes, report.present_files, report.present_bytes,
                                 report.removed_files, report.removed_bytes, report.seconds)
            print_json(dict(document, transfer=None, remove=None))
            return DONE
        rate = f" ({amount(report.bytes / report.seconds, BYTES)}/s)" if report.bytes and report.seconds else ""
        print(f"{args.action}ed {files(report.files, report.bytes)} in {report.seconds:.1f} s{rate}; "
              f"{files(report.present_files)} present already"
              + (f"; {files(report.removed_files)} removed" if args.delete else ""))
    return DONE


def _document(args: argparse.Namespace, session: Session, count: int, size: int, present: int, present_size: int,
              removed: int, removed_size: int, seconds: Optional[float]) -> Dict[str, Any]:
    return {"action": args.action, "url": session.store.url, "path": session.path, "dry_run": args.dry_run,
            "files": count, "bytes": size, "present_files": present, "present_bytes": present_size,
            "removed_files": removed, "removed_bytes": removed_size, "seconds": seconds}
