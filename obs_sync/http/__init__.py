"""Reading over HTTP/1.1. Read `pool` first.

Our own, because a pull of small objects spends 0.15 ms of processor time on each: urllib3 would add 60 % to that, h11
40 %. What `http.client` or h11 refuses is refused here, which a test with mutated replies holds.

    pool      kept connections to one server
    head      the status line and headers of a reply, judged strictly
    reply     one connection and its replies
    proxies   the proxy between us and OBS
    pace      how slow a server may be
"""
