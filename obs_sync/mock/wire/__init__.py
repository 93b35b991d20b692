"""Requests and replies, between the sockets and the operations. Read `messages` first.

    messages   a request and a reply
    fields     numbers, escaped text and keys in a request
    incoming   the body of a request
    mishaps    pauses, flipped bits and early ends of a reply
    dialect    x-obs- and x-amz- headers
"""
