"""What services say of themselves: contracts and their descriptors, and the JSON that their messages are for people.

Owns contracts and their fingerprints, the registry that reflection reads, the catalog of what others' reflection tells,
and transcoding between JSON and messages. May import `portcall.protos` and `portcall.errors`.
"""
