"""The actions of `python -m job sync`. Read `session` first.

    session     what the actions share: store, filters, limits
    places      which place on the command line is the store
    transfers   pull and push
    checks      verify and diff
    store       ls and gc
    output      lines for people, or JSON
"""
