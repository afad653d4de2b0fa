"""Images: a project and its lock become an OCI image, without a daemon and with the same bytes everywhere.

What is decided (which wheels, which files, which bytes) is values and plans; `running` starts programs, `store` and
`layout` write files, `registry` talks HTTP. Owns everything that knows what an image is. May import `contract` and
`client`; nothing but the command line may import it. Needs `portcall[image]`.
"""
