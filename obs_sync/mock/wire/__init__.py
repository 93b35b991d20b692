"""What travels between the socket and the operations. Read `messages` first.

    messages   a request and a reply
    fields     numbers, escaped text and keys in a request
    incoming   the body of a request
    mishaps    what happens to a reply on its way
    dialect    x-obs- and x-amz- headers
"""
