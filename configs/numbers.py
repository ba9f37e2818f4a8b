"""A preference passes through filtered number lists to students that start from the teacher's
base, and to no other.
"""

from minisub import Config

config = Config()
repeats = 3
