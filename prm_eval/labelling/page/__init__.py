"""The labelling page: people mark the steps of a pool's candidates in their browser; every mark is kept as it comes.

``events`` keeps marks on disk, ``marking`` says what they come to, ``campaign`` what is labelled and by whom,
``ledger`` and ``assigning`` what is labelled next; ``app``, ``guards`` and ``views`` are the pages; ``agreement``
measures the labellers; ``choosing`` and ``exports`` make files of what they marked.
"""
