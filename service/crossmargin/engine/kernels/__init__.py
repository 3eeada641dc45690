"""The loops that take most of the time: each as a function of numpy, which is the reference, and beside it compiled by numba.

Which of the two is used is said from outside and never guessed: see `choice`.
"""
