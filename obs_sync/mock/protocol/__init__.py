"""The protocol of OBS. Read `routes` first.

    routes       which call a request is
    operations   calls on buckets and objects
    listing      listings
    multipart    uploads in parts
    signature    checks signatures
    conditions   Range and If-* headers
    xml          documents
"""
