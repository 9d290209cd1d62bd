"""What a Keep consists of (`contents`), and what that measures (`measure`): anyone can recompute it.

Nothing is loaded here: the hardware needs `contents` before it has time for anything else.
"""
