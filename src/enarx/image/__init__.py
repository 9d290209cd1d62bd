"""The files of a Keep (`contents`) and their measurement (`measure`), which anyone can compute again.

This package imports nothing by itself: the simulator needs `contents` before it loads anything else.
"""
