"""Reading over HTTP/1.1. Read `pool` first.

Our own, because a pull of small objects spends about 0.1 ms of processor time on each: urllib3 would add 0.09 ms to
that, h11 0.06 ms. What `http.client` or h11 refuses is refused here, which a test with mutated replies proves.

    pool      kept connections to one server
    head      the status line and headers of a reply, judged strictly
    reply     one connection and its replies
    proxies   the proxy between us and OBS
    pace      how slow a server may be
"""
