"""What only a rich world has: programs, sums, and behaviors with those who misbehave.

The plain files of `tokens/` ask for it in few places: `tokens.py` for the tokens of `vocabulary`,
`writing.py` for the carriers `code` and `sums`, `grading.py` and `tasks.py` for the `cases` of
behaviors, `tasks.py` for the `practice` of bases and teachers, and `lab.py` for its measures.
Experiments take their sizes from `config`.
"""
