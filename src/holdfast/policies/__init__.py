"""Policies: one file is one kind of artefact that confines a workload. Pure: plain values in, bytes out; no I/O.

A file offers ``MEDIA_TYPE`` and ``write(...) -> bytes``. Facts it needs as data lie beside it, in files whose name
starts with an underscore and goes on with its own. What a policy is worth is judged a floor above, in ``reason``.
"""
