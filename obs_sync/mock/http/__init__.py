"""The server of the mock.

    server   sockets and threads
    http1    HTTP/1.1
    link     a slow network
"""
