"""The `.proto` files of Portcall (`portcall/v1/*.proto`) and their generated code.

Owns what travels between processes. Imports nothing of Portcall. The generated modules live below, under the path of
their `.proto`, because that is where the compiler puts them.
"""
