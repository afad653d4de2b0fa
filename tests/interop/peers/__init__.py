"""The interoperability cases with servers and a client in other languages; see `README.md`."""
