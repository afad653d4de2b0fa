"""What services say of themselves: contracts and their descriptors, and the JSON that their messages are for people.

Owns contracts and their fingerprints, the registry that reflection reads, the catalog of what others' reflection tells,
transcoding between JSON and messages, and the compiler that makes Python of `.proto` files. May import
`portcall.protos` and `portcall.errors`.
"""
