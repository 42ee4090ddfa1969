"""Bundles from repositories of Git, over https, ssh, or from this machine; nothing is checked out, nothing is written.

`source.py` is the `Source`: what a branch, tag, range or commit is now, and the files of a folder in it. `remote.py`
is a repository that answers, `over_https.py` and `over_pipe.py` how it is reached; `pack.py` reads what it sends,
`objects.py` commits, tags and trees.
"""

from delivery.git.source import GitSource

__all__ = [
    "GitSource",  # the Source that a repository is
]
