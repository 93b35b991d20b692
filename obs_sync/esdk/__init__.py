"""OBS and S3-compatible servers. Writes go through the OBS SDK, reads are our own signed requests. Read `store` first.

    store              the Store
    client             one SDK call, checked and translated
    connect            an SDK client that is set up safely
    get                signed reads over kept connections
    listing            pages of a listing
    ranges             a large object by several ranges at once
    pieces             records which ranges of a large file are on the disk
    upload             stores bytes, each request with its MD5
    multipart          uploads a file in parts, resumed after a crash
    unfinished         uploads in parts that are not completed
    body               what the SDK reads a request's body from
    reply              reads the SDK's results
    sdk_response       the replies that the SDK reads, held to bounds
    credentials        access keys and endpoint from the environment
    credentials_file   access keys in a file that is rewritten when keys rotate
    keys               the current key, and another one after a refusal
    signing            signatures of plain reads
    crc64              CRC-64 as OBS announces it
    server_clock       the clock by which requests are dated
"""
