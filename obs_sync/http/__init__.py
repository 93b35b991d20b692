"""Reading over HTTP/1.1. Read `pool` first.

    pool      kept connections to one server
    head      the status line and headers of a reply, judged strictly
    reply     one connection and its replies
    proxies   the proxy between us and OBS
    pace      how slow a server may be
"""
